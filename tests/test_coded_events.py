"""Monthly counts of coded events: bounds, pairs of actors, code roots."""

from typing import Any

import pytest
import sqlalchemy as sa
from recording import SOURCE, asked_for, record_example, recorded
from test_rebuild import live, naive

from ledger.answers.answer import Answer
from ledger.answers.coded_events import coded_events
from ledger.book import now
from ledger.errors import BadValue, NotFound
from ledger.projections.coded_events import CODED_EVENTS, code_root
from ledger.rebuild import catch_up, rebuild
from ledger.store.connect import reading

Place = tuple[str, str, str, str]
"""Month, source, target, code root."""
Counts = dict[Place, tuple[int, int]]


def actors(*pairs: str) -> str:
    """Return actors, each written as `role code`."""
    listed = (pair.split() for pair in pairs)
    return f"[{', '.join(f'{{role: {role}, code: {code}}}' for role, code in listed)}]"


PAIR = actors("source BLRGOV", "target USA")


def coded(stream: str = "e1", **fields: Any) -> str:
    """Return one coded event as a YAML list of one."""
    lines = {
        "when": "2025-12-13", "dataset": "GDELT", "table_version": "CAMEO 1.1b3",
        "code": '"0841"', "actors": PAIR, "provenance": SOURCE, **fields,
    }
    text = "".join(f"  {name}: {value}\n" for name, value in lines.items())
    return f"- kind: CodedEvent\n  development: {stream}\n{text}"


def asked(engine: sa.Engine, **question: Any) -> Answer:
    """Catch up with what was recorded and ask."""
    return asked_for(engine, "coded_events", **question)


def counts(answer: Answer) -> Counts:
    """Return low and high by place."""
    return {
        (row["month"], row["source"], row["target"], row["code"]): (row["low"], row["high"])
        for row in answer
    }


def of(month: str, low: int, high: int) -> Counts:
    """Return the counts of one month for the usual pair and code."""
    return {(month, "BLRGOV", "USA", "08"): (low, high)}


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        pytest.param(coded(), of("2025-12", 1, 1), id="one"),
        pytest.param(coded("e1") + coded("e2", code='"085"'), of("2025-12", 2, 2), id="one root"),
        pytest.param(coded() + coded(row="r2"), of("2025-12", 1, 1), id="one event in two rows"),
        pytest.param(coded(when="2025-11-30/2025-12-01"),
                     of("2025-11", 0, 1) | of("2025-12", 0, 1), id="two months"),
        pytest.param(coded(when="2025-11-30/2025-12-01") + coded(), of("2025-12", 1, 1),
                     id="narrowed by another report"),
        pytest.param(coded(when="2025-11") + coded(),
                     of("2025-11", 0, 1) | of("2025-12", 0, 1), id="different months"),
        pytest.param(coded(when="../2025-12"), of("unstated", 1, 1), id="no first day"),
        pytest.param(coded(when="1990/2025"), of("unstated", 1, 1), id="no month in sight"),
        pytest.param(coded(when="../2025-12") + coded(), of("2025-12", 1, 1),
                     id="a month that one report knows"),
        pytest.param(coded(actors="[]"), {("2025-12", "unstated", "unstated", "08"): (1, 1)},
                     id="no actors"),
        pytest.param(coded(actors=actors("source BLRGOV", "target USA", "target POL")),
                     {("2025-12", "BLRGOV", "USA", "08"): (1, 1),
                      ("2025-12", "BLRGOV", "POL", "08"): (1, 1)}, id="two targets"),
        pytest.param(coded() + coded(code='"19"'),
                     {("2025-12", "BLRGOV", "USA", "08"): (0, 1),
                      ("2025-12", "BLRGOV", "USA", "19"): (0, 1)}, id="two codings"),
    ],
)
def test_an_event_counts_where_it_may_belong(
    engine: sa.Engine, reports: str, expected: Counts
) -> None:
    """An event counts at least once where it surely belongs and at most once where it may."""
    recorded(engine, reports)

    assert counts(asked(engine)) == expected


def test_the_days_of_an_event_are_those_that_all_reports_allow(engine: sa.Engine) -> None:
    """A row that knows the month only leaves the day of the other one."""
    recorded(engine, coded(when="2025-12-13") + coded(when="2025-12", row="r2"))

    assert counts(asked(engine, since="2025-12-10")) == of("2025-12", 1, 1)
    assert counts(asked(engine, until="2025-12-05")) == {}


def test_each_row_says_how_many_developments_and_reports(engine: sa.Engine) -> None:
    """A row has the developments that it counts and the reports behind them."""
    recorded(engine, coded("e1") + coded("e1", row="r2") + coded("e2"))

    answer = asked(engine)

    assert answer.rows == [
        {"dataset": "GDELT", "month": "2025-12", "source": "BLRGOV", "target": "USA", "code": "08",
         "low": 2, "high": 2, "developments": 2, "reports": 3},
    ]
    assert set(answer.rows[0]) == set(answer.columns)


def test_data_sets_are_counted_apart(engine: sa.Engine) -> None:
    """Another data set codes by rules of its own, so the same event has a row in each."""
    recorded(engine, coded() + coded(dataset="POLECAT", code="AID"))

    assert [(row["dataset"], row["code"], row["low"]) for row in asked(engine)] == [
        ("GDELT", "08", 1), ("POLECAT", "AID", 1),
    ]


@pytest.mark.parametrize(
    ("code", "root"),
    [("0841", "08"), ("08", "08"), ("190", "19"), ("AGREE", "AGREE"), ("8", "8"), ("1A", "1A")],
)
def test_the_root_of_a_code(code: str, root: str) -> None:
    """The root is the first two digits, and of any other code the code itself."""
    assert code_root(code) == root


def test_another_stage_is_counted_apart(engine: sa.Engine) -> None:
    """What was only promised is not among what was done."""
    recorded(engine, coded(stage="promised"))

    assert counts(asked(engine)) == {}
    assert counts(asked(engine, stage="promised")) == of("2025-12", 1, 1)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, of("2025-11", 1, 2) | of("2025-12", 1, 2) | of("unstated", 1, 1)),
        ({"since": "2025-12"}, of("2025-12", 1, 2) | of("unstated", 0, 1)),
        ({"until": "2025-11"}, of("2025-11", 1, 2) | of("unstated", 0, 1)),
        ({"valid_at": "2025-11-25"}, of("2025-11", 1, 1) | of("unstated", 0, 1)),
        ({"valid_at": "2025-12-05"},
         of("2025-11", 1, 2) | of("2025-12", 0, 1) | of("unstated", 0, 1)),
        ({"valid_at": "2025-12-13", "until": "2025-12-31"},
         of("2025-11", 1, 2) | of("2025-12", 1, 2) | of("unstated", 0, 1)),
        ({"since": "2026"}, of("unstated", 0, 1)),
    ],
)
def test_days_bound_what_is_counted(
    engine: sa.Engine, question: dict[str, str], expected: Counts
) -> None:
    """What may lie outside of the days asked for counts for the high bound only."""
    recorded(engine, coded("e1", when="2025-11-20") + coded("e2", when="2025-12-13"))
    recorded(engine, coded("e3", when="2025-11-29/2025-12-02") + coded("e4", when="2026-01/.."))

    assert counts(asked(engine, **question)) == expected


def test_corrections_retractions_and_ranks_decide_what_counts(engine: sa.Engine) -> None:
    """A corrected report counts where it was corrected to; retracted and deprecated ones do not."""
    recorded(engine, coded("e1") + coded("e2") + coded("e2", when="2025-10-01"))
    undo = (
        "- {kind: ReportRanked, position: 3, rank: preferred, reason: the newer row}",
        "- {kind: ReportRanked, position: 3, rank: deprecated, reason: a double}",
        "- {kind: ReportRetracted, position: 1, reason: taken out of the data set}",
        "- kind: ReportCorrected\n  position: 2\n  reason: recoded\n  type: CodedEvent\n  report:\n"
        + "".join(f"  {line}\n" for line in coded(when="2025-09-02").splitlines()[2:]),
        "- {kind: ReportRetracted, position: 7, reason: taken out of the data set}",
    )
    then = {3: counts(asked(engine))}
    for position, text in enumerate(undo, start=4):
        recorded(engine, text)
        then[position] = counts(asked(engine))

    assert then == {
        3: of("2025-10", 0, 1) | of("2025-12", 1, 2),
        4: of("2025-10", 1, 1) | of("2025-12", 1, 1),
        5: of("2025-12", 2, 2),
        6: of("2025-12", 1, 1),
        7: of("2025-09", 1, 1),
        8: {},
    }
    assert {p: counts(asked(engine, as_of=p)) for p in then} == then


def test_catching_up_in_steps_is_a_fold_over_everything(engine: sa.Engine) -> None:
    """However often it is caught up, the table holds what one fold over all events gives."""
    for number in range(6):
        recorded(engine, coded(f"e{number % 4}", when=f"2025-{number + 1:02}/2025-{number + 2:02}"))
        if number % 2:
            catch_up(engine, CODED_EVENTS, now)
    record_example(engine, "wider")
    recorded(engine, "- {kind: ReportRetracted, position: 2, reason: a double}")
    catch_up(engine, CODED_EVENTS, now)

    assert live(engine, CODED_EVENTS) == naive(engine, CODED_EVENTS)
    assert rebuild(engine, CODED_EVENTS, now, check=True).drift == 0


@pytest.mark.parametrize(
    "question", [{"stage": "maybe"}, {"since": "May"}, {"valid_at": "2025-13"}]
)
def test_a_question_that_cannot_be_asked_is_refused(
    engine: sa.Engine, question: dict[str, str]
) -> None:
    """A question with an impossible parameter is refused."""
    with pytest.raises(BadValue):
        asked(engine, **question)


def test_an_unbuilt_projection_is_refused(engine: sa.Engine) -> None:
    """Before the first rebuild there is no answer."""
    with reading(engine) as connection, pytest.raises(NotFound, match="coded_events"):
        coded_events(connection)
