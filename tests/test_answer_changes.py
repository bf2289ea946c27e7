"""Which answers changed between two points of the record, beside the rows behind them."""

import json
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import page_by_page, recorded, release

from ledger.answers.asking import ask
from ledger.answers.changes import (
    ANY_OTHER,
    AnswerChange,
    answer_changes,
    changes,
    events_behind,
)
from ledger.answers.registry import QUESTIONS, Question
from ledger.book import now
from ledger.cli.main import ledger
from ledger.projections.registry import PROJECTIONS
from ledger.projections.tallies import TALLIES
from ledger.rebuild import rebuild, rebuild_all
from ledger.store.connect import reading

Key = tuple[tuple[str, Any], ...]

MERGED = "- {kind: DevelopmentsMerged, development: b, same_as: a, reason: one release}"
MORE_MERGED = """
- {kind: DevelopmentsMerged, development: by-us-talks-2025-09-11,
   same_as: by-us-talks-2025-12-13, reason: one visit}
- {kind: DevelopmentsMerged, development: by-release-2025-06-21,
   same_as: by-release-2025-09-11, reason: one release}
"""
TALLY = (
    "- kind: TallyReported\n  tally: by-in-all\n  by: Belarus\n  when: 2025-12-13\n  total: 20\n"
    "  of: released\n  measure: cumulative\n  since: 2025-12-01\n"
    "  provenance: {publisher: A Newspaper, url: https://example.org/t}\n"
)


def changed(engine: sa.Engine, start: int, end: int) -> list[AnswerChange]:
    """What is answered otherwise at the one than at the other."""
    with reading(engine) as connection:
        return answer_changes(connection, start, end, changes(connection, start, end))


def keyed(engine: sa.Engine, question: Question, asked: dict[str, Any], at: int) -> dict[Key, Any]:
    """Every row of an answer by what tells it apart, with its total and any other citizenship."""
    with reading(engine) as connection:
        answer = ask(connection, question, **asked, as_of=at)
    found: dict[Key, Any] = {}
    for row in answer:
        of_key = {name: row[name] for name in question.key if name in row}
        aside = {*of_key, *question.not_compared}
        rest = {name: value for name, value in row.items() if name not in aside}
        assert tuple(of_key.items()) not in found
        found[tuple(of_key.items())] = rest
    if answer.total:
        found[()] = answer.total
    if answer.further:
        found[(("citizenship", ANY_OTHER),)] = answer.further["any_other_citizenship"]
    return found


def test_a_merge_shows_with_the_total_that_it_changes(engine: sa.Engine) -> None:
    """Where two developments turn out to be one, the diff says how the answers fall."""
    recorded(engine, release("a", total=10) + release("b", total=12) + MERGED)
    rebuild_all(engine, PROJECTIONS, now)

    found = changed(engine, 2, 3)

    totals = [change for change in found if change.question == "releases" and not change.key]
    assert [change.parameters for change in totals] == [{"by": "state"}, {"by": "citizenship"}]
    for change in totals:
        assert change.before is not None
        assert change.after is not None
        numbers = ("low", "high", "disputed", "developments")
        assert [change.before[name] for name in numbers] == [22, 22, False, 2]
        assert [change.after[name] for name in numbers] == [10, 12, True, 1]
    (of_state,) = [change for change in found if change.key == {"state": "BY"}]
    assert (of_state.before, of_state.after) == (totals[0].before, totals[0].after)


def test_the_changes_lead_from_the_one_answer_to_the_other(engine: sa.Engine) -> None:
    """Every answer before, with the rows that changed in their place, is the answer after."""
    ends = [0, *page_by_page(engine)]
    recorded(engine, MORE_MERGED)
    rebuild_all(engine, PROJECTIONS, now)
    last = ends[-1] + 2
    points = sorted({*ends[::7], 13, ends[-1], last})

    for start, end in [*pairwise(points), (0, last)]:
        found = changed(engine, start, end)
        for question in QUESTIONS:
            for asked in question.compared:
                before, after = (keyed(engine, question, asked, at) for at in (start, end))
                for change in found:
                    if (change.question, change.parameters) == (question.name, asked):
                        key = tuple(change.key.items())
                        assert change.before == before.pop(key, None) != change.after
                        before |= {} if change.after is None else {key: change.after}
                assert before == after


def test_the_events_behind_a_question_are_those_that_changed_it(engine: sa.Engine) -> None:
    """One event after the other: wherever an answer differs, that event is behind its question,
    and it is among those of the whole way as long as the rows differ at its end."""
    *_, size = page_by_page(engine)
    recorded(engine, MORE_MERGED)
    rebuild_all(engine, PROJECTIONS, now)
    last, moved = size + 2, 0

    with reading(engine) as connection:
        whole = events_behind(changes(connection, 0, last))
        for position in range(1, last + 1):
            rows = changes(connection, position - 1, position)
            differing = answer_changes(connection, position - 1, position, rows)
            behind = events_behind(rows)
            assert {change.question for change in differing} <= behind.keys()
            assert set(behind.values()) <= {(position,)}
            moved += position in whole.get("releases", ()) and "releases" in behind
    assert moved > 10
    assert len(whole["releases"]) == moved
    assert whole["releases"][-1] == last


def test_many_events_are_told_by_their_number(run: Any) -> None:
    """Under a question a few positions are listed, of many the first ones, the last, how many."""
    run("record", "-", text="".join(release(f"r{n}", total=1) for n in range(40)))
    run("projections", "rebuild")

    lines = run("diff", "--from", "0").splitlines()

    assert lines[:2] == ["answer releases by state",
                         "  through 40 positions: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, … 40"]
    few = run("diff", "--from", "0", "--to", "2").splitlines()
    assert few[1] == "  through positions 1, 2"


def test_every_question_says_what_tells_its_rows_apart() -> None:
    """No question is compared without a key; its parameters are some that it takes."""
    for question in QUESTIONS:
        assert question.key
        assert question.compared
        assert all(asked.keys() <= {*question.parameters} for asked in question.compared)


def test_a_tally_changes_with_the_releases_that_it_is_held_against(engine: sa.Engine) -> None:
    """An answer from two projections is compared where one of them has changed rows."""
    recorded(engine, TALLY)
    recorded(engine, release("a", total=20))
    rebuild_all(engine, PROJECTIONS, now)

    (of_tally,) = [change for change in changed(engine, 1, 2) if change.question == "tallies"]

    assert of_tally.key == {"position": 1}
    assert of_tally.before is not None
    assert of_tally.after is not None
    assert (of_tally.before["verdict"], of_tally.after["verdict"]) == ("short by 20", "consistent")
    assert "developments" not in of_tally.after


def test_what_cannot_be_answered_is_not_compared(engine: sa.Engine) -> None:
    """Where one projection of a question was never built, its rows are listed and no answer."""
    recorded(engine, TALLY)
    rebuild(engine, TALLIES, now)

    with reading(engine) as connection:
        rows = changes(connection, 0, 1)
        assert [change.table for change in rows] == ["tallies"]
        assert answer_changes(connection, 0, 1, rows) == []
        assert answer_changes(connection, 1, 1, changes(connection, 1, 1)) == []


@pytest.fixture
def run(database: str) -> Any:
    """Runs the command line on the database; returns what was printed."""

    def run(*arguments: str, text: str | None = None) -> str:
        runner = CliRunner(env={"LEDGER_DATABASE_URL": database})
        result = runner.invoke(ledger, arguments, input=text)
        assert result.exit_code == 0, result.output
        return str(result.output)

    return run


def test_the_command_tells_the_answers_before_the_rows(run: Any) -> None:
    """First what is answered otherwise, within 80 columns; then the rows, with the events."""
    text = release("a", total=10, citizenships="{PL: 3}") + release("b", total=12) + MERGED
    run("record", "-", text=text)
    run("projections", "rebuild")

    lines = run("diff", "--from", "2").splitlines()

    assert "answer releases by state" in lines
    total = "  total        low 22 → 10; high 22 → 12; disputed no → yes; developments 2 → 1"
    assert total in lines
    assert lines[lines.index("answer releases by state") + 1] == "  through position 3"
    first_row = lines.index("Rows of answer tables that changed, and the events behind them")
    assert all("by position" not in line for line in lines[:first_row])
    assert any(line.endswith("by position 3") for line in lines[first_row:])
    assert lines[-1].endswith("rows changed up to position 3.")
    assert max(map(len, lines)) <= 80


def test_the_examples_are_told_in_eighty_columns(run: Any) -> None:
    """Rows of every question, new, gone and changed, are readable on a narrow terminal."""
    for name in ("article", "wider"):
        run("record", "-", text=run("example", name))
    run("projections", "rebuild")

    for start in ("0", "13"):
        lines = run("diff", "--from", start).splitlines()
        assert max(map(len, lines)) <= 80
        asked = [line for line in lines if line.startswith("answer ")]
        assert asked[:3] == ["answer releases by state", "answer releases by citizenship",
                             "answer tallies"]
        assert "answer people" in asked


def test_as_json_answers_and_rows_stand_apart(run: Any) -> None:
    """In JSON, `answers` has what is answered otherwise and `rows` what changed in the tables."""
    run("record", "-", text=release("a", total=10))
    run("projections", "rebuild")

    data = json.loads(run("diff", "--from", "0", "--format", "json"))["data"]
    nothing = json.loads(run("diff", "--from", "1", "--format", "json"))["data"]

    assert data["answers"][0] == {
        "question": "releases", "parameters": {"by": "state"}, "key": {"state": "BY"},
        "before": None,
        "after": {"low": 10, "high": 10, "disputed": False, "developments": 1},
    }
    assert data["events"]["releases"] == [1]
    assert data["rows"][0]["table"] == "releases"
    assert nothing == {"answers": [], "events": {}, "rows": []}


def test_rows_may_change_without_any_answer(run: Any) -> None:
    """Where no answer differs the command says so: a release was ordered, none was done."""
    run("record", "-", text=release("a", total=10, stage="ordered"))
    run("projections", "rebuild")

    lines = run("diff", "--from", "0").splitlines()

    assert lines[0] == "No answer changed."
    assert run("diff", "--from", "1") == "0 rows changed up to position 1.\n"
