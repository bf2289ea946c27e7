"""An explanation a page at a time: nothing is hidden, and what is shown adds up to the number."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import answered, record_example, recorded, release

import ledger as package
from ledger.answers.explaining import PAGE, Explanation, explain_releases
from ledger.bounds.bounding import bound
from ledger.cli.main import ledger
from ledger.developments import fold
from ledger.errors import BadValue
from ledger.projections.release_parts import Share
from ledger.projections.releases import claim, party_code
from ledger.store.connect import reading
from ledger.store.read import read_stream

NOTHING = Share(0, 0, 0)


@pytest.fixture
def examples(engine: sa.Engine) -> sa.Engine:
    """A ledger with both examples, and two developments that are merged."""
    record_example(engine, "article")
    record_example(engine, "wider")
    recorded(engine, release("a", total=7) + release("b", total="at least 5"))
    recorded(engine, "- {kind: DevelopmentsMerged, development: b, same_as: a, reason: x}")
    answered(engine)
    return engine


def explained(engine: sa.Engine, **question: Any) -> Explanation:
    """Return the explanation of a number."""
    with reading(engine) as connection:
        return explain_releases(connection, **question)


def added(shares: Sequence[Share]) -> Share:
    """Return what the shares add up to."""
    highs = [share.high for share in shares]
    high = None if None in highs else sum(filter(None, highs))
    return Share(sum(s.releases for s in shares), sum(s.low for s in shares), high)


def shown(page: Explanation) -> Share:
    """Return what the releases on a page add."""
    return added([Share(1, one.low, one.high) for one in page])


@pytest.mark.parametrize("citizenship", [None, "PL", "BY", "JP"])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_pages_are_the_whole(examples: sa.Engine, citizenship: str | None, limit: int) -> None:
    """Page after page is all of the explanation, once and in its order, and with what it says of
    the releases before and after it each page adds up to the number; after the last is nothing."""
    question = {"state": "BY", "since": "2025-06-15", "citizenship": citizenship}
    whole = explained(examples, **question)
    assert (whole.before, whole.after, whole.total) == (NOTHING, NOTHING, shown(whole))

    pages: list[Explanation] = []
    after = None
    while not pages or pages[-1].after.releases:
        pages.append(explained(examples, **question, limit=limit, after=after))
        after = pages[-1].contributions[-1].developments[-1]

    assert [one for page in pages for one in page] == list(whole)
    for number, page in enumerate(pages):
        assert page.total == whole.total
        assert added([page.before, shown(page), page.after]) == whole.total
        assert page.before == added([NOTHING, *map(shown, pages[:number])])
        assert len(page) == limit or page is pages[-1]
    behind = explained(examples, **question, after=after)
    assert (len(behind), behind.before, behind.after) == (0, whole.total, NOTHING)


def test_a_stage_that_is_none_is_refused(engine: sa.Engine) -> None:
    """A slip of the pen is no zero, here as in the answer."""
    with reading(engine) as connection, pytest.raises(BadValue, match="one of proposed"):
        explain_releases(connection, stage="bogus")


def test_what_adds_most_comes_first(engine: sa.Engine) -> None:
    """Releases stand in the order of their low bounds, then of their high ones, then of names."""
    totals = {"a": 2, "b": "at most 9", "c": "at least 3", "d": 3, "e": "at least 0", "f": 2}
    for name, total in totals.items():
        recorded(engine, release(name, total=total))
    answered(engine)

    order = [one.developments[0].removeprefix("development/") for one in explained(engine)]

    assert order == ["c", "d", "a", "f", "e", "b"]


def test_any_development_of_a_release_names_it(examples: sa.Engine) -> None:
    """A page can begin behind a merged release by each of its names, short or in full."""
    after = [explained(examples, after=name) for name in ("a", "b", "development/b")]

    assert after[0] == after[1] == after[2]
    assert after[0].before.releases > 0
    assert {"development/a", "development/b"}.isdisjoint(
        name for one in after[0] for name in one.developments
    )


@pytest.mark.parametrize("wrong", [
    {"limit": 0}, {"limit": -1}, {"limit": 2**70}, {"limit": "3"}, {"limit": 2.0}, {"limit": True},
    {"after": "no-such-release"}, {"after": ""},
    {"after": "by-release-2025-12-13", "state": "RU"},
    {"after": "by-release-2025-12-13", "until": "2025-12-12"},
])
def test_no_page(examples: sa.Engine, wrong: dict[str, Any]) -> None:
    """A limit that is none, and a development that adds nothing to the number, are refused."""
    with pytest.raises(BadValue):
        explained(examples, **wrong)


@pytest.mark.parametrize("citizenship", [None, "PL", "LT"])
def test_each_report_stands_with_what_it_says_alone(
    examples: sa.Engine, citizenship: str | None
) -> None:
    """The bounds of a report are those that it would give by itself, also where it is the only one
    of its release, and where its day may lie outside of those asked for."""
    chain = explained(examples, citizenship=citizenship, until="2025-11-21")
    assert any(len(one.reports) == 1 for one in chain)
    with reading(examples) as connection:
        for one in chain:
            live = {
                report.position: report for name in one.developments
                for report in fold(name, read_stream(connection, name)).live
            }
            for evidence in one.reports:
                report = live[evidence.position]
                alone = bound([claim(report)], party_code(report.data["by"]))
                wanted = alone.total if citizenship is None else alone.citizenships.get(
                    citizenship, (0, alone.other.high)
                )
                assert (evidence.low, evidence.high) == wanted


def many(count: int) -> str:
    """Return reports of so many releases of one to so many people."""
    return "".join(release(f"r{number}", total=number) for number in range(1, count + 1))


def test_the_command_says_what_it_does_not_show(database: str) -> None:
    """A table ends after a page and says what is left and how to see it; JSON is whole, unless a
    limit is given, and then says the same beside its data."""
    runner = CliRunner(env={"LEDGER_DATABASE_URL": database})

    def run(*arguments: str, code: int = 0, given: str | None = None) -> Any:
        result = runner.invoke(ledger, arguments, input=given)
        assert result.exit_code == code, result.output
        return result

    run("record", "-", given=many(PAGE + 2))
    run("projections", "rebuild")
    explain = ("explain", "releases", "--state", "BY")

    table = run(*explain).stdout
    assert table.count("A Newspaper") == PAGE
    assert "Not shown: 2 releases of 3 in all. `--after r3` shows the next." in table
    assert "Sum: 253." in table
    last = run(*explain, "--after", "r3").stdout
    assert "Before this page: 20 releases of 250 in all." in last
    assert "Not shown" not in last
    assert last.count("A Newspaper") == 2
    assert "Sum: 253." in last
    assert "Not shown: 1 release of 1 in all." in run(*explain, "--limit", "21").stdout

    whole = json.loads(run(*explain, "--format", "json").stdout)
    assert (len(whole["data"]), whole["diagnostics"]) == (PAGE + 2, [])
    page = json.loads(run(*explain, "--limit", "1", "--after", "r9", "--format", "json").stdout)
    assert [one["developments"] for one in page["data"]] == [["development/r8"]]
    assert [one["message"] for one in page["diagnostics"]] == [
        "Before this page: 14 releases of 217 in all.",
        "Not shown: 7 releases of 28 in all. `--after r8` shows the next.",
    ]
    assert "wanted a development that adds" in run(*explain, "--after", "r99", code=3).output
    assert "--limit" in run(*explain, "--limit", "0", code=2).output


def test_from_python(database: str) -> None:
    """A Book explains a number, all of it or a page."""
    engine = package.connect(database).engine
    recorded(engine, many(3))
    answered(engine)
    book = package.connect(database)

    assert len(book.explain_releases(state="BY")) == 3
    page = book.explain_releases(state="BY", limit=1)
    assert (page.contributions[0].low, page.after, page.total) == (3, (2, 3, 3), (3, 6, 6))
    book.engine.dispose()
    engine.dispose()
