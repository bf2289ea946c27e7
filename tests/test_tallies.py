"""What sources claim as totals, held against what the ledger derives from the releases."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import asked_for, record_example, recorded, release
from test_rebuild import live, naive

from ledger.answers.answer import Answer
from ledger.answers.tallies import tallies, verdict
from ledger.book import now
from ledger.errors import BadValue, NotFound
from ledger.examples.shipped import example
from ledger.projections.releases import RELEASES
from ledger.projections.tallies import TALLIES
from ledger.rebuild import catch_up, rebuild
from ledger.store.connect import reading
from ledger.store.read import read_head

NOVEMBER = release("a", when="2025-11-20", total=31) + release("b", when="2025-12-13", total=123)


def tally(stream: str = "by-total", **fields: Any) -> str:
    """Return one tally as a YAML list of one."""
    lines = {
        "by": "Belarus", "of": "released", "measure": "cumulative", "since": "2025-11",
        "when": "2025-12-13", "total": 156,
        "provenance": "{publisher: A Newspaper, url: https://example.org/a}", **fields,
    }
    text = "".join(f"  {name}: {value}\n" for name, value in lines.items() if value is not None)
    return f"- kind: TallyReported\n  tally: {stream}\n{text}"


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up with what was recorded and ask."""
    return asked_for(engine, "tallies", **question)


def verdicts(answer: Answer) -> dict[int, str]:
    """Return the verdict of each row by its position."""
    return {row["position"]: row["verdict"] for row in answer}


def test_the_shipped_tally_is_consistent_and_names_what_it_sums_up(engine: sa.Engine) -> None:
    """156 since November is what the three releases of the wider record add up to."""
    record_example(engine, "article")
    record_example(engine, "wider")

    answer = asked(engine, state="Belarus")

    first = answer.rows[0]
    assert {name: first[name] for name in answer.columns} == {
        "position": 6, "state": "BY", "publisher": "Straight Arrow News",
        "since": "2025-11-01", "until": "2025-12-13", "claimed_low": 156, "claimed_high": 156,
        "derived_low": 156, "derived_high": 156, "verdict": "consistent",
    }
    assert first["developments"] == [
        "development/by-release-2025-11-20",
        "development/by-release-2025-11-22",
        "development/by-release-2025-12-13",
    ]
    assert len(answer.rows) == 5
    assert asked(engine, state="Lithuania").rows == []


@pytest.mark.parametrize(
    ("claimed", "derived", "expected"),
    [
        ((156, 156), (156, 156), "consistent"),
        ((156, None), (100, 156), "consistent"),
        ((156, 156), (33, None), "consistent"),
        ((0, None), (0, 0), "consistent"),
        ((156, 156), (100, 154), "short by 2"),
        ((431, None), (0, 0), "short by 431"),
        ((10, 12), (15, None), "over by 3"),
        ((0, 0), (1, 1), "over by 1"),
        ((30, 20), (25, 25), "consistent"),
    ],
)
def test_the_verdict_is_the_gap_between_two_intervals(
    claimed: tuple[int, int | None], derived: tuple[int, int | None], expected: str
) -> None:
    """Intervals that meet are consistent; else the verdict is how far they are apart."""
    assert verdict(claimed, derived) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "short by 2"),
        ({"total": 154}, "consistent"),
        ({"total": "at least 100"}, "consistent"),
        ({"total": "at most 150"}, "over by 4"),
        ({"since": "2025-12-01", "total": 123}, "consistent"),
        ({"when": "2025-11-30", "total": 31}, "consistent"),
        ({"by": "Lithuania", "total": 1}, "short by 1"),
        ({"since": None}, "not comparable"),
        ({"since": "../2025-11"}, "not comparable"),
        ({"when": "2025-12-13/.."}, "not comparable"),
        ({"measure": "stock", "since": None}, "not comparable"),
        ({"of": "held"}, "not comparable"),
        ({"of": "detained"}, "not comparable"),
        ({"category": "political"}, "not comparable"),
    ],
)
def test_a_tally_is_held_against_the_releases_of_its_window(
    engine: sa.Engine, fields: dict[str, Any], expected: str
) -> None:
    """What is released by that state, from the first day to the last, is compared; nothing else."""
    recorded(engine, NOVEMBER + tally(**fields))

    answer = asked(engine)

    assert verdicts(answer) == {3: expected}
    derived = answer.rows[0]["derived_low"], answer.rows[0]["derived_high"]
    assert (derived == (None, None)) == (expected == "not comparable")


def test_promised_releases_are_not_in_the_derived_total(engine: sa.Engine) -> None:
    """A release that was only ordered leaves the ledger short of the tally."""
    recorded(engine, release(total=10, stage="ordered") + tally(total=10))

    assert verdicts(asked(engine)) == {2: "short by 10"}


def test_merged_releases_are_derived_once(engine: sa.Engine) -> None:
    """Two developments that are one are summed up once and both named."""
    recorded(engine, release("a", total=10) + release("b", total=10) + tally(total=10))
    apart = verdicts(asked(engine))
    recorded(engine, "- {kind: DevelopmentsMerged, development: a, same_as: b, reason: one bus}")

    answer = asked(engine)

    assert (apart, verdicts(answer)) == ({3: "over by 10"}, {3: "consistent"})
    assert answer.rows[0]["developments"] == ["development/a", "development/b"]


@pytest.mark.parametrize(
    ("rule", "derived", "said"),
    [
        ({}, (15, 15), "over by 7"),
        ({"reversals": "net"}, (12, 12), "over by 4"),
        ({"count": "persons"}, (10, 14), "over by 2"),
        ({"count": "persons", "reversals": "net"}, (7, 12), "consistent"),
    ],
)
def test_a_tally_is_held_against_what_the_rule_counts(
    engine: sa.Engine, rule: dict[str, str], derived: tuple[int, int], said: str
) -> None:
    """Ten were freed, one of them again with four others, and three of the ten were taken back by
    the day of the tally; what was undone later was not so yet."""
    again = "[{person: person/x, name: A. Name, citizenships: [Belarus]}]"
    recorded(
        engine,
        release("a", when="2025-11-20", total=10, persons=again)
        + release("a", when="2025-12-01", stage="reversed", total=3)
        + release("b", when="2025-12-10", total=5, persons=again)
        + release("b", when="2025-12-20", stage="reversed", total=5)
        + tally(total=8),
    )

    (row,) = asked(engine, **rule).rows

    assert (row["derived_low"], row["derived_high"]) == derived
    assert row["verdict"] == said
    assert row["developments"] == ["development/a", "development/b"]


@pytest.mark.parametrize("count", ["releases", "persons"])
@pytest.mark.parametrize(("when", "derived"), [
    ("2025-12", (40, 100)), ("../2025-12-31", (0, 100)), ("2025-12-19", (100, 100)),
    ("2025-12-20", (40, 100)), ("2025-12-22", (40, 40)), ("2025-12-22/2026-01-03", (40, 47)),
])
def test_a_tally_for_a_month_net(
    engine: sa.Engine, when: str, derived: tuple[int, int], count: str
) -> None:
    """Net, the numbers of a month go down as well as up, and the tally may be for any day of it."""
    recorded(engine, release("a", when="2025-11-01", total=100)
             + release("a", when="2025-12-20/2025-12-22", stage="reversed", total=60)
             + release("b", when="2026-01-02", total=7) + tally(when=when))

    (row,) = asked(engine, count=count, reversals="net").rows

    assert row["derived_high"] == derived[1]
    assert row["derived_low"] == derived[0]


def test_a_tally_net_of_what_was_undone_on_the_first_day_of_all(engine: sa.Engine) -> None:
    """Before the first day of the calendar there is none to look at."""
    recorded(engine, release("a", when="../2025-11-01", total=5)
             + release("a", when="0001-01-01", stage="reversed", total=5)
             + tally(since="0001-01-01", when="2025-12"))
    (row,) = asked(engine, reversals="net").rows
    assert (row["derived_low"], row["derived_high"]) == (0, 0)


def test_a_tally_for_a_day_before_its_first(engine: sa.Engine) -> None:
    """There is no day on which it could be held against the releases."""
    recorded(engine, NOVEMBER + tally(since="2025-12-10", when="2025-12-01"))
    assert verdicts(asked(engine)) == {3: "not comparable"}


def test_the_rule_is_named_in_the_answer(engine: sa.Engine) -> None:
    """Whoever reads the answer sees how releases were counted, also by the usual rule."""
    recorded(engine, NOVEMBER + tally())

    usual, net = asked(engine), asked(engine, reversals="net")

    assert "releases, not persons" in usual.counting
    assert "gross: " in usual.counting
    assert "net: " in net.counting
    assert (usual.scope, net.scope) == ({}, {"reversals": "net"})


def test_corrections_retractions_and_ranks_decide_which_tallies_count(engine: sa.Engine) -> None:
    """A corrected tally counts as corrected; retracted, deprecated and outranked ones do not."""
    recorded(engine, NOVEMBER + tally() + tally(total=154))
    assert verdicts(asked(engine)) == {3: "short by 2", 4: "consistent"}

    recorded(engine, "- {kind: ReportRanked, position: 4, rank: preferred, reason: has names}")
    assert verdicts(asked(engine)) == {4: "consistent"}

    recorded(engine, "- {kind: ReportRanked, position: 4, rank: deprecated, reason: has none}")
    assert verdicts(asked(engine)) == {3: "short by 2"}

    corrected = tally(total=150).splitlines()[2:]
    recorded(
        engine,
        "- kind: ReportCorrected\n  position: 3\n  reason: misread\n  type: TallyReported\n"
        "  report:\n" + "".join(f"  {line}\n" for line in corrected),
    )
    assert verdicts(asked(engine)) == {7: "over by 4"}

    recorded(engine, "- {kind: ReportRetracted, position: 7, reason: the page is gone}")
    assert verdicts(asked(engine)) == {}
    assert verdicts(asked(engine, as_of=6)) == {3: "short by 2"}


def test_valid_at_asks_for_the_tallies_until_that_day(engine: sa.Engine) -> None:
    """Only tallies that surely are for a day up to then are shown."""
    recorded(engine, NOVEMBER + tally(when="2025-11-30", total=31) + tally(when="2025-12"))

    assert verdicts(asked(engine, valid_at="2025-12-13")) == {3: "consistent"}
    assert set(verdicts(asked(engine, valid_at="2025-12"))) == {3, 4}
    assert verdicts(asked(engine, valid_at="2025-10")) == {}


def test_tally_and_releases_are_of_one_point_of_the_record(engine: sa.Engine) -> None:
    """Where the releases are folded further than the tallies, both are asked as of the earlier."""
    recorded(engine, release("a", total=5) + tally(total=5))
    asked(engine)
    recorded(engine, release("b", total=2))
    catch_up(engine, RELEASES, now)

    with reading(engine) as connection:
        assert verdicts(tallies(connection)) == {2: "consistent"}
    assert verdicts(asked(engine)) == {2: "over by 2"}


def test_as_of_a_position_is_the_answer_given_then(engine: sa.Engine) -> None:
    """At each point of the wider record, the answer as of then is the one that was given then."""
    record_example(engine, "article")
    then: dict[int, list[dict[str, Any]]] = {}
    for number, page in enumerate(example("wider").decode().split("\n---\n")[1:]):
        recorded(engine, "---\n" + page)
        if number % 4 == 0:
            with reading(engine) as connection:
                head = read_head(connection).size
            then[head] = asked(engine).rows
    asked(engine)

    assert len(then) > 5
    with reading(engine) as connection:
        assert {p: tallies(connection, as_of=p).rows for p in then} == then


def test_catching_up_in_steps_is_a_fold_over_everything(engine: sa.Engine) -> None:
    """However often it is caught up, the table holds what one fold over all events gives."""
    recorded(engine, NOVEMBER + tally())
    catch_up(engine, TALLIES, now)
    record_example(engine, "wider")
    recorded(engine, "- {kind: ReportRetracted, position: 3, reason: the page is gone}")
    catch_up(engine, TALLIES, now)

    assert live(engine, TALLIES) == naive(engine, TALLIES)
    assert rebuild(engine, TALLIES, now, check=True).drift == 0


def test_an_impossible_question_is_refused(engine: sa.Engine) -> None:
    """A day that is none is refused, and so is a question before the first rebuild of either."""
    with reading(engine) as connection, pytest.raises(NotFound, match="tallies"):
        tallies(connection)
    catch_up(engine, TALLIES, now)
    with reading(engine) as connection, pytest.raises(NotFound, match="releases"):
        tallies(connection)
    for impossible in ({"valid_at": "someday"}, {"count": "heads"}, {"reversals": "both"}):
        with pytest.raises(BadValue):
            asked(engine, **impossible)


@pytest.mark.parametrize(("total", "said"), [(31, "consistent"), (154, "consistent"), (20, "over"),
                                             (155, "short")])
def test_a_tally_for_a_month_may_be_for_any_day_of_it(
    engine: sa.Engine, total: int, said: str
) -> None:
    """What was freed later in the month may have come after the tally, and may be in it."""
    recorded(engine, NOVEMBER + tally(when="2025-12", total=total))
    (row,) = asked(engine).rows
    assert (row["derived_low"], row["derived_high"]) == (31, 154)
    assert row["verdict"].split()[0] == said
