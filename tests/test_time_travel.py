"""As of any point of the record, what changed since, and what a number rests on."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import SOURCE, answered, bounds_of, record_example, recorded, release

from ledger.answers.answer import position_at
from ledger.answers.changes import changes
from ledger.answers.explaining import explain_releases
from ledger.answers.registry import QUESTIONS
from ledger.answers.releases import releases
from ledger.book import now
from ledger.cli.main import ledger
from ledger.errors import BadValue, NoStream
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild_all
from ledger.store.connect import reading
from ledger.store.read import read_head


def as_of(engine: sa.Engine, position: Any, **question: Any) -> Any:
    """The answer as of a position, without a rebuild."""
    with reading(engine) as connection:
        return releases(connection, as_of=position, **question)


def test_as_of_equals_a_ledger_that_had_only_those_events(engine: sa.Engine) -> None:
    """After everything, the answer as of p is the answer that was given when p was the last."""
    texts = [
        release("a", total=10),
        release("a", total=12),
        release("b", total="at least 3", citizenships="{PL: 1}"),
        "- {kind: ReportRanked, position: 1, rank: deprecated, reason: x}",
        "- {kind: DevelopmentsMerged, development: b, same_as: a, reason: x}",
        "- {kind: ReportRetracted, position: 3, reason: x}",
        "- {kind: MergeWithdrawn, position: 5, reason: x}",
    ]
    then = []
    for text in texts:
        recorded(engine, text)
        answer = answered(engine)
        then.append((answer.rows, answer.total, answer.disputes))

    for position, given in enumerate(then, start=1):
        answer = as_of(engine, position)
        assert (answer.rows, answer.total, answer.disputes) == given


def test_the_article_as_it_was_before_the_wider_record(engine: sa.Engine) -> None:
    """As of the article's last event, the answer is the article's, whatever came after."""
    record_example(engine, "article")
    alone = answered(engine)
    record_example(engine, "wider")
    answered(engine)

    assert as_of(engine, 13).rows == alone.rows
    assert as_of(engine, "13").total == alone.total
    assert as_of(engine, 0).total["developments"] == 0


def test_a_development_that_is_recorded_later_is_not_there_yet(engine: sa.Engine) -> None:
    """As of a position before it, a development has no row; one that never was is refused."""
    recorded(engine, release("a", total=10))
    recorded(engine, release("b", total=3))
    rebuild_all(engine, PROJECTIONS, now)
    questions = [q for q in QUESTIONS if "development" in q.parameters]
    assert len(questions) == 7
    with reading(engine) as connection:
        for question in questions:
            assert question.answer(connection, development="b", as_of=1).rows == []
            with pytest.raises(NoStream, match="development/c is not in this ledger"):
                question.answer(connection, development="c")
        totals = [releases(connection, development="b", as_of=at).total for at in (1, 2)]
    assert [total["high"] for total in totals] == [0, 3]


def test_a_time_is_the_last_position_recorded_by_then(engine: sa.Engine) -> None:
    """A time means the last event recorded up to it; before the first event there is none."""
    record_example(engine, "article")
    with reading(engine) as connection:
        head = read_head(connection)

        assert position_at(connection, head.recorded_at) == head.size
        assert position_at(connection, "2001-01-01") == 0
        assert position_at(connection, "2190-01") == head.size
        with pytest.raises(BadValue, match="a position, or a time"):
            position_at(connection, "yesterday")


def test_valid_at_counts_up_to_that_day(engine: sa.Engine) -> None:
    """Valid at a day, later releases do not count yet."""
    recorded(engine, release("a", when="2025-11-22", total=31) + release("b", total=123))
    answered(engine)

    assert as_of(engine, None, valid_at="2025-12-01").total["low"] == 31
    assert as_of(engine, None, valid_at="2025-12-13").total["low"] == 154


def test_a_diff_names_the_events_that_changed_an_answer(engine: sa.Engine) -> None:
    """Between two points, each changed row is named with its values and the events behind it."""
    recorded(engine, release("a", total=10) + release("b", total=5))
    recorded(engine, release("a", total=12))
    answered(engine)

    with reading(engine) as connection:
        (change,) = [c for c in changes(connection, 2, 3) if c.table == "releases"]
        assert changes(connection, 3, 3) == []
        with pytest.raises(BadValue):
            changes(connection, 3, 2)

    assert (change.stream, change.key, change.positions) == (
        "development/a", {"stage": "done"}, (3,)
    )
    assert change.before is not None
    assert change.after is not None
    assert (change.before["high"], change.after["high"]) == (10, 12)
    assert (change.before["disputed"], change.after["disputed"]) == (False, True)


@pytest.mark.parametrize("citizenship", [None, "AU", "Belarus", "Ukraine", "Japan"])
def test_an_explanation_adds_up_to_the_answer(
    engine: sa.Engine, citizenship: str | None
) -> None:
    """The bounds of the developments in an explanation add up to the number explained."""
    record_example(engine, "article")
    record_example(engine, "wider")
    answer = answered(engine, state="BY")
    rows = bounds_of(answer)

    with reading(engine) as connection:
        chain = explain_releases(connection, state="BY", citizenship=citizenship)

    low, high = sum(c.low for c in chain), [c.high for c in chain]
    code = {"Belarus": "BY", "Ukraine": "UA", "Japan": "JP"}.get(citizenship or "", citizenship)
    wanted = (answer.total["low"], answer.total["high"]) if code is None else rows[code]
    assert (low, None if None in high else sum(h or 0 for h in high)) == wanted
    assert all(contribution.reports for contribution in chain)


def test_an_explanation_names_publishers_and_bounds(engine: sa.Engine) -> None:
    """Each report stands with its publisher, where it can be read, and the bound it alone gives."""
    recorded(engine, release("a", total=10, citizenships="{PL: 3}") + release("b", total=2))
    answered(engine)

    with reading(engine) as connection:
        first, second = explain_releases(connection, citizenship="Poland")

    assert (first.low, first.high, first.listed) == (3, 3, True)
    assert (second.low, second.high, second.listed) == (0, 2, False)
    (report,) = first.reports
    assert report.publisher in SOURCE
    assert (report.position, report.low, report.high, report.disagrees) == (1, 3, 3, False)


def test_the_commands(sqlite_database: str) -> None:
    """`explain`, `diff` and `projections` work from the command line, for people and as JSON."""
    runner = CliRunner(env={"LEDGER_DATABASE_URL": sqlite_database})

    def run(*arguments: str, code: int = 0, text: str | None = None) -> str:
        result = runner.invoke(ledger, arguments, input=text)
        assert result.exit_code == code, result.output
        return result.output

    run("record", "-", text=release("a", total=10))
    run("projections", "rebuild")
    run("record", "-", text=release("a", total=12))
    status = json.loads(run("projections", "status", "--format", "json"))
    assert {row["behind"] for row in status["data"]} == {1}
    assert "1 event was recorded" in run("answer", "releases")
    run("projections", "catch-up")
    assert "disputed" in run("explain", "releases", "--state", "BY")
    assert json.loads(run("explain", "releases", "--format", "json"))["data"][0]["high"] == 12
    assert "by position 2" in run("diff", "--from", "1")
    assert json.loads(run("diff", "--from", "1", "--to", "2", "--format", "json"))["data"]["rows"]
    assert "got 'nothing-like-it'" in run("projections", "rebuild", "nothing-like-it", code=2)
    assert "releases" in run("projections", "list")
    engine = sa.create_engine(sqlite_database)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE releases SET low = 99")
    engine.dispose()
    assert "drift in releases" in run("projections", "rebuild", "--check", code=1)
    assert "drift in releases" in run("projections", "rebuild", "releases")
    run("projections", "rebuild", "--check")
