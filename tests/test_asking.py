"""What no answer hides: a slip in the question, and what its tables have not taken in."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import data_of, empty_folder, lines, record_article, run

import ledger
from ledger.answers.answer import Answer
from ledger.answers.registry import QUESTIONS
from ledger.errors import BadValue, CouldNot, LedgerError, NotFound

DEPRECATED = {"kind": "ReportRanked", "position": 2, "rank": "deprecated", "reason": "older"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own, with the article in ./ledger.db."""
    here = empty_folder(tmp_path, monkeypatch)
    record_article()
    return here


@pytest.fixture
def book(folder: Path) -> ledger.Book:
    """The ledger, its projections at position 13 of 14."""
    run("projections", "rebuild")
    run("record", "-", "--by", "ben", given=lines(DEPRECATED))
    return ledger.connect("ledger.db")


NAMES = pytest.mark.parametrize("name", [question.name for question in QUESTIONS])


def ask(book: ledger.Book, name: str, **parameters: Any) -> Answer:
    """Return the answer to a question by its name."""
    question: Callable[..., Answer] = getattr(book.answers, name)
    return question(**parameters)


@NAMES
def test_a_position_has_one_answer_for_ever(book: ledger.Book, name: str) -> None:
    """What the tables have not taken in is refused, not answered without it; then it stays."""
    with pytest.raises(CouldNot, match=r"as of position 14: \w+ has taken in 13 events so far"):
        ask(book, name, as_of=14)
    before = ask(book, name, as_of=13)

    book.catch_up()

    assert ask(book, name, as_of=13).rows == before.rows
    assert ask(book, name, as_of=14).rows == ask(book, name).rows


@NAMES
def test_an_answer_says_how_far_it_is_behind(book: ledger.Book, name: str) -> None:
    """Without a position the answer counts the events that it does not know yet."""
    assert ask(book, name).behind == 1
    assert ask(book, name, as_of=13).behind == 0

    book.catch_up()

    assert ask(book, name).behind == 0


@pytest.mark.parametrize(
    ("as_of", "wanted"),
    [
        (15, "a position from 0 to 14"),
        (-1, "a position from 0 to 14"),
        ("-1", "a position from 0 to 14"),
        (True, "a position from 0 to 14"),
        ("999999", "a position from 0 to 14"),
        ("yesterday", "a position, or a time in UTC"),
        ("0001-01-01T00:00:00+02:00", "a position, or a time in UTC"),
        ("9999-12-31T23:59:59-02:00", "a position, or a time in UTC"),
        (datetime(2025, 12, 13), "a position, or a time in UTC"),
    ],
)
def test_what_is_no_point_of_the_record_is_refused(
    book: ledger.Book, as_of: Any, wanted: str
) -> None:
    """A position that nothing has, or a time without a zone, is no question."""
    with pytest.raises(BadValue, match=wanted):
        book.answers.releases(as_of=as_of)


def test_a_time_may_be_a_datetime(book: ledger.Book) -> None:
    """A script may ask with the datetime that it has: before the first event nothing was known."""
    early = book.answers.releases(as_of=datetime(2001, 1, 1, tzinfo=UTC))
    assert early.total["developments"] == 0


@pytest.mark.parametrize("name", ["releases", "tallies", "disputes", "talks", "people"])
@pytest.mark.parametrize("state", ["Ruritania", "XX", "by", "", "Belorus"])
def test_a_state_that_is_none_is_refused(book: ledger.Book, name: str, state: str) -> None:
    """A slip of the pen is no zero: neither a country nor an organisation on record is refused."""
    with pytest.raises(BadValue, match="organisation on record here"):
        ask(book, name, state=state)


def test_a_country_without_releases_and_an_organisation_on_record_are_answered(
    book: ledger.Book,
) -> None:
    """A country may have freed nobody; an organisation is known once a report names it."""
    by_group = {
        "kind": "PrisonersReleased", "development": "by-group", "when": "2025-12-14",
        "by": {"organisation": "Red Cross"}, "total": 4,
        "provenance": {"publisher": "Example Times", "url": "https://example.org/9"},
    }
    run("record", "-", given=lines(by_group))
    book.catch_up()

    assert book.answers.releases(state="Japan").total["high"] == 0
    assert book.answers.releases(state="Red Cross").total["low"] == 4


def test_days_in_the_wrong_order_are_refused(book: ledger.Book) -> None:
    """No day lies between a last and an earlier one, so nothing is counted there."""
    with pytest.raises(BadValue, match="since 2025-12 until 2025-11"):
        book.answers.releases(since="2025-12", until="2025-11")
    assert book.answers.releases(since="2025-12", until="2025-12").total["low"] == 123


def test_the_command_line_refuses_and_says_the_same(book: ledger.Book) -> None:
    """Each face has the refusals, the notes, and the scope as it was understood."""
    behind = run("answer", "releases", "--state", "Belarus")
    assert "1 event was recorded since the answer tables were filled" in behind.stderr
    assert "Asked: state BY, stage done" in behind.stdout
    assert "has taken in 13" in run("answer", "releases", "--as-of", "14", code=4).output
    assert "Ruritania" in run("answer", "releases", "--state", "Ruritania", code=3).output
    to_come = run("answer", "releases", "--as-of", "2190-01-01", code=4)
    assert "has taken in 13" in to_come.output
    run("projections", "catch-up")
    assert "2190-01-01 is not over" in run("answer", "releases", "--as-of", "2190-01-01").stderr


def test_a_diff_goes_as_far_as_the_answers(book: ledger.Book) -> None:
    """Without an end it stops where the tables do and says so; an end beyond them is refused."""
    now = run("diff", "--from", "12")
    assert "1 event was recorded" in now.stderr
    assert "up to position 13" in now.stdout
    assert "has taken in 13" in run("diff", "--from", "13", "--to", "14", code=4).output
    run("projections", "catch-up")
    changed = {change["table"] for change in data_of("diff", "--from", "13")["rows"]}
    assert "releases" in changed


def test_an_explanation_keeps_to_what_the_answer_knows(book: ledger.Book) -> None:
    """The reports under a number are those that it was made of, though newer events change them."""
    question = ("explain", "releases", "--state", "BY")
    before = run(*question, "--as-of", "13").stdout
    behind = run(*question)
    assert behind.stdout == before
    assert "1 event was recorded" in behind.stderr
    assert "has taken in 13" in run(*question, "--as-of", "14", code=4).output


def test_nothing_was_ever_built(folder: Path) -> None:
    """A ledger without answer tables has no answer, no explanation and no difference."""
    assert "projections rebuild" in run("diff", "--from", "1", code=3).output
    assert "projections rebuild" in run("explain", "releases", code=3).output
    with pytest.raises(NotFound):
        ledger.connect("ledger.db").answers.releases()


def test_refusals_are_of_one_family(book: ledger.Book) -> None:
    """Whoever catches LedgerError catches each of them."""
    for wrong in ({"as_of": 14}, {"as_of": 15}, {"state": "Ruritania"}):
        with pytest.raises(LedgerError):
            book.answers.releases(**wrong)


def test_csv_says_what_is_open_for_any_other_citizenship(book: ledger.Book) -> None:
    """A row for the citizenships that nobody lists stands before the total, with its bound."""
    other, total = run("answer", "releases", "--format", "csv").stdout.splitlines()[-2:]
    assert other.startswith("any other,0,118,,,")
    assert total.startswith("total,123,123,False,1,")


@pytest.mark.parametrize(
    "days",
    [
        {"until": "2025-11/.."},
        {"since": "../2026-01"},
        {"valid_at": "2025-11/.."},
        {"since": "2025-12-01", "valid_at": "2025-11-30"},
    ],
)
def test_days_that_bound_nothing_are_refused(book: ledger.Book, days: dict[str, str]) -> None:
    """An open end is no bound, and what begins after its end holds nothing: neither is left out."""
    with pytest.raises(BadValue):
        book.answers.releases(**days)


@pytest.mark.parametrize("as_of", [5.0, ["13"], date(2025, 12, 13)])
def test_a_point_of_another_kind(book: ledger.Book, as_of: Any) -> None:
    """A date is its end; what is neither position nor time is refused in words."""
    if isinstance(as_of, date):
        assert book.answers.releases(as_of=as_of).total["developments"] == 0
    else:
        with pytest.raises(BadValue, match="a position, or a time in UTC"):
            book.answers.releases(as_of=as_of)


def test_nobody_is_said_to_contradict_whom_he_agrees_with() -> None:
    """Merged with one whose own reports disagree, a development is disputed by the merge alone."""
    source = {"publisher": "A Newspaper", "locator": "page 1"}
    release = {"kind": "PrisonersReleased", "when": "2025-12-13", "by": "Belarus",
               "provenance": source}
    run("record", "-", given=lines(
        {**release, "development": "a", "total": 5},
        {**release, "development": "a", "total": 6},
        {**release, "development": "b", "total": 5},
        {"kind": "DevelopmentsMerged", "development": "b", "same_as": "a", "reason": "one"},
    ))
    run("projections", "rebuild")

    printed = run("answer", "releases").stdout

    assert "development/a, by the reports at positions 14, 15." in printed
    assert "development/b, not by its own reports but by a merge." in printed
