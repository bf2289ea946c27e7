"""Which developments' reports contradict each other: how many, when, by whom."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import SOURCE, asked_for, record_example, recorded, release
from test_rebuild import live, naive

from ledger.answers.answer import Answer
from ledger.answers.disputes import disputes
from ledger.book import now
from ledger.errors import BadValue, NotFound
from ledger.examples.shipped import example
from ledger.projections.disputes import DISPUTES
from ledger.projections.releases import RELEASES, releases
from ledger.rebuild import catch_up, rebuild
from ledger.store.connect import reading
from ledger.store.read import read_head

Row = tuple[str, str, str, str, list[int]]


def report(kind: str, stream: str, **fields: Any) -> str:
    """Return one report of any kind as a YAML list of one."""
    lines = {"when": "2025-12-13", "provenance": SOURCE, **fields}
    text = "".join(f"  {name}: {value}\n" for name, value in lines.items())
    return f"- kind: {kind}\n  development: {stream}\n{text}"


def detained(stream: str = "d", **fields: Any) -> str:
    """Return one report of a detention."""
    return report("PrisonersDetained", stream, **{"by": "Belarus", **fields})


def lifted(kind: str = "SanctionsLifted", stage: str = "done", **fields: Any) -> str:
    """Return one report about one sanction."""
    target = "{kind: sector, name: potash, country: Belarus}"
    return report(kind, "s", stage=stage, sender="United States", target=target, **fields)


def talks(**fields: Any) -> str:
    """Return one report of talks."""
    return report("TalksHeld", "t", parties="[Belarus, United States]", **fields)


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up with what was recorded and ask."""
    return asked_for(engine, "disputes", **question)


def rows(answer: Answer) -> list[Row]:
    """Return the answer's rows as tuples, without what all streams begin with."""
    found = [tuple(row[column] for column in answer.shown) for row in answer]
    return [(stream.removeprefix("development/"), *rest) for stream, *rest in found]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param(release(total=10) + release(total=12),
                     [("by-release", "PrisonersReleased", "done", "how many", [1, 2])],
                     id="two totals"),
        pytest.param(release(total=10) + release(total="at least 5"), [], id="totals that agree"),
        pytest.param(release(total=10) + release(total=10, act="pardon")
                     + release(total=12),
                     [("by-release", "PrisonersReleased", "done", "how many", [1, 2, 3])],
                     id="a repeated total"),
        pytest.param(release(total=3, citizenships="{PL: 5}"),
                     [("by-release", "PrisonersReleased", "done", "how many", [1])],
                     id="one report alone"),
        pytest.param(release(total=10) + release(total=12, stage="promised"), [],
                     id="promised and done"),
        pytest.param(release(total=10) + release(total=10, by="Russia"),
                     [("by-release", "PrisonersReleased", "done", "by whom", [1, 2])],
                     id="two states"),
        pytest.param(release(when="2025-06-21") + release(when="2025-06") + release(when="2025-07"),
                     [("by-release", "PrisonersReleased", "done", "when", [1, 2, 3])],
                     id="days"),
        pytest.param(release(when="2025-06-21") + release(when="../2025-06")
                     + release(when="2025-06-22/.."),
                     [("by-release", "PrisonersReleased", "done", "when", [1, 3])],
                     id="open intervals"),
        pytest.param(release(when="../2025-06") + release(when="../2025-01"), [],
                     id="only last days"),
        pytest.param(release(when="2025-06-21", total=1)
                     + release(when="2025-06-22", by="Russia", total=2),
                     [("by-release", "PrisonersReleased", "done", "how many, when, by whom",
                       [1, 2])], id="everything"),
        pytest.param(detained(total=1) + detained(total=2),
                     [("d", "PrisonersDetained", "done", "how many", [1, 2])], id="detentions"),
        pytest.param(release("d", total=1) + detained("d", total=2, when="2025-12-14"), [],
                     id="freed and taken back"),
        pytest.param(talks() + talks(when="2025-12-14"),
                     [("t", "TalksHeld", "done", "when", [1, 2])], id="talks"),
        pytest.param(lifted() + lifted(stage="agreed", when="2025-12-01"), [],
                     id="sanctions agreed and done"),
        pytest.param(lifted("SanctionsImposed") + lifted(when="2026-01-01"), [],
                     id="sanctions imposed and lifted"),
        pytest.param(lifted() + lifted(when="2025-12-12"),
                     [("s", "SanctionsLifted", "done", "when", [1, 2])], id="sanctions"),
    ],
)
def test_what_reports_contradict(engine: sa.Engine, reports: str, expected: list[Row]) -> None:
    """Reports of one type and stage that cannot all hold are named with what they are about."""
    recorded(engine, reports)

    assert rows(asked(engine)) == expected


def test_the_wider_record_is_in_dispute_where_its_releases_are(engine: sa.Engine) -> None:
    """What this projection calls disputed is what the releases do, with the same positions."""
    record_example(engine, "article")
    record_example(engine, "wider")
    catch_up(engine, RELEASES, now)

    found = {(row["development"], row["stage"]): row["positions"] for row in asked(engine)}

    c = releases.c
    query = sa.select(c.stream, c.stage, c.positions).where(c.disputed, c.position_until.is_(None))
    with reading(engine) as connection:
        same = {
            (row.stream, row.stage): [int(position) for position in row.positions.split()]
            for row in connection.execute(query)
        }
    assert found == same
    assert len(found) == 3
    assert rows(asked(engine))[0] == (
        "by-release-2025-06-21", "PrisonersReleased", "done", "how many, when",
        [15, 16, 17, 18, 19, 20],
    )


@pytest.mark.parametrize(
    ("state", "streams"),
    [("Belarus", {"a", "t"}), ("Russia", {"a"}), ("US", {"t"}), ("Hamas", {"h"}), ("PL", set())],
)
def test_a_dispute_belongs_to_each_state_that_a_report_names(
    engine: sa.Engine, state: str, streams: set[str]
) -> None:
    """Asked about one state, only disputes whose reports say it did it or took part are shown."""
    hamas = "{organisation: Hamas}"
    recorded(
        engine,
        release("a", total=1) + release("a", total=1, by="Russia")
        + release("h", total=1, by=hamas) + release("h", total=2, by=hamas)
        + talks() + talks(when="2025-12-14") + release("calm", by="Poland"),
    )

    assert {row[0] for row in rows(asked(engine, state=state))} == streams


def test_a_dispute_ends_when_the_record_is_put_right(engine: sa.Engine) -> None:
    """A correction, a retraction, a rank each end a dispute, and it still is seen as of before."""
    recorded(engine, release(total=10) + release(total=12) + release(total=14))
    assert rows(asked(engine))[0][4] == [1, 2, 3]

    recorded(engine, "- {kind: ReportRetracted, position: 3, reason: the page is gone}")
    assert rows(asked(engine))[0][4] == [1, 2]

    recorded(
        engine,
        "- kind: ReportCorrected\n  position: 2\n  reason: misread\n  type: PrisonersReleased\n"
        "  report: {when: 2025-12-13, by: BY, total: 11, provenance: {publisher: A, locator: p 1}}",
    )
    assert rows(asked(engine))[0][4] == [1, 5]

    recorded(engine, "- {kind: ReportRanked, position: 1, rank: preferred, reason: has names}")
    assert rows(asked(engine)) == []

    recorded(engine, "- {kind: ReportRanked, position: 1, rank: normal, reason: has none}")
    recorded(engine, "- {kind: ReportRanked, position: 5, rank: deprecated, reason: refuted}")
    assert rows(asked(engine)) == []
    found = {at: [row[4] for row in rows(asked(engine, as_of=at))] for at in range(9)}
    assert found == {
        0: [], 1: [], 2: [[1, 2]], 3: [[1, 2, 3]], 4: [[1, 2]], 5: [[1, 5]], 6: [], 7: [[1, 5]],
        8: [],
    }


def test_as_of_a_position_is_the_answer_given_then(engine: sa.Engine) -> None:
    """At each point of the wider record, the answer as of then is the one that was given then."""
    record_example(engine, "article")
    then: dict[int, list[Row]] = {}
    for number, page in enumerate(example("wider").decode().split("\n---\n")[1:]):
        recorded(engine, "---\n" + page)
        if number % 4 == 0:
            with reading(engine) as connection:
                head = read_head(connection).size
            then[head] = rows(asked(engine, state="BY"))
    asked(engine)

    assert len({str(found) for found in then.values()}) > 2
    with reading(engine) as connection:
        assert {p: rows(disputes(connection, state="BY", as_of=p)) for p in then} == then


def test_catching_up_in_steps_is_a_fold_over_everything(engine: sa.Engine) -> None:
    """However often it is caught up, the tables hold what one fold over all events gives."""
    recorded(engine, release(total=10) + release(total=12))
    catch_up(engine, DISPUTES, now)
    record_example(engine, "wider")
    recorded(engine, "- {kind: ReportRetracted, position: 2, reason: the page is gone}")
    catch_up(engine, DISPUTES, now)

    assert live(engine, DISPUTES) == naive(engine, DISPUTES)
    assert rebuild(engine, DISPUTES, now, check=True).drift == 0


def test_valid_at_changes_nothing_and_must_be_a_day(engine: sa.Engine) -> None:
    """A contradiction is one on every day; a day that is none is refused all the same."""
    recorded(engine, release(total=10) + release(total=12))

    assert asked(engine, valid_at="2020").rows == asked(engine).rows != []
    with pytest.raises(BadValue):
        asked(engine, valid_at="someday")


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="disputes"):
        disputes(connection)
