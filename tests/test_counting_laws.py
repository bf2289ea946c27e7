"""What holds between rules of counting, for any history, on both databases."""

from datetime import date, timedelta
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import history_strategies as past
import sqlalchemy as sa
from fresh_ledgers import Fresh
from hypothesis import Phase, given, settings
from recording import record_example

from ledger.answers.answer import Answer
from ledger.answers.explaining import explain_releases
from ledger.answers.releases import BY, CITIZENSHIPS, COUNTS, REVERSALS, releases
from ledger.answers.tallies import NOT_COMPARABLE, tallies
from ledger.book import now
from ledger.projections.registry import PROJECTIONS
from ledger.projections.release_counts import counted
from ledger.projections.release_list import USUAL
from ledger.projections.tallies import tallies as tallies_table
from ledger.rebuild import rebuild_all
from ledger.store.append import append
from ledger.store.connect import reading, writing

SCOPES: tuple[dict[str, Any], ...] = (
    {}, {"state": "BY"}, {"state": "BY", "since": "2025-12-01", "until": "2025-12-13"},
    {"valid_at": "2025-12-12"}, {"development": "r-a"},
)


@settings(max_examples=2, phases=[Phase.generate], deadline=None)
@given(past.histories(20, 40))
def test_laws_of_rules(fresh: Fresh, said: tuple[past.Said, ...]) -> None:
    """The usual rule added up one by one is the sum in SQL. Net is at most gross, persons are at
    most releases, one citizenship is at most each; and an explanation adds up to its number."""
    with fresh() as engine:
        with writing(engine) as connection:
            append(connection, past.as_new(said), recorded_by="a tester", clock=now)
        rebuild_all(engine, PROJECTIONS, now)
        scopes = [one for one in SCOPES if "development" not in one or "r-a" in str(said)]
        with reading(engine) as connection:
            for scope in scopes:
                same_one_by_one(connection, scope)
                for reversals, citizenships in product(REVERSALS, CITIZENSHIPS):
                    rule = {"reversals": reversals, "citizenships": citizenships}
                    explained(connection, {**scope, **rule})
                for rule in each_rule():
                    narrower(connection, scope, rule)
            for count, reversals in product(COUNTS, REVERSALS):
                derived(connection, {"count": count, "reversals": reversals})


def derived(connection: sa.Connection, rule: dict[str, str]) -> int:
    """Check that a tally is held against what `releases` counts by the rule from its first day to
    any day that it may be for. Return how many were compared."""
    windows = {
        row.report: row for row in connection.execute(sa.select(tallies_table))
        if row.position_until is None
    }
    compared = [one for one in tallies(connection, **rule) if one["verdict"] != NOT_COMPARABLE]
    for tally in compared:
        first = windows[str(tally["position"])].valid_from
        begins, until = map(date.fromisoformat, (max(first or "", tally["since"]), tally["until"]))
        found = [
            releases(connection, state=tally["state"], since=tally["since"], until=str(day), **rule)
            for day in (begins + timedelta(days=n) for n in range((until - begins).days + 1))
        ]
        highs = [one.total["high"] for one in found]
        assert tally["derived_high"] == (None if None in highs else max(highs))
        sure = first is not None and first >= tally["since"]
        assert tally["derived_low"] == (min(one.total["low"] for one in found) if sure else 0)
    return len(compared)


def test_tallies_of_the_shipped_example_by_every_rule(engine: sa.Engine) -> None:
    """The published 156 is held against what each rule counts in its window."""
    for name in ("article", "wider"):
        record_example(engine, name)
    rebuild_all(engine, PROJECTIONS, now)
    with reading(engine) as connection:
        for count, reversals in product(COUNTS, REVERSALS):
            assert derived(connection, {"count": count, "reversals": reversals}) > 0


def each_rule() -> list[dict[str, str]]:
    """Return every rule but the usual one."""
    names = ("count", "reversals", "citizenships")
    rules = product(COUNTS, REVERSALS, CITIZENSHIPS)
    return [dict(zip(names, rule, strict=True)) for rule in rules][1:]


def same_one_by_one(connection: sa.Connection, scope: dict[str, Any]) -> None:
    """Check that the sums in SQL are those of the releases one by one."""
    for by in BY:
        usual = releases(connection, by=by, **scope)
        with mock.patch(
            "ledger.answers.releases.rolled_up", partial(counted, rule=USUAL)
        ):
            assert releases(connection, by=by, **scope) == usual


def narrower(connection: sa.Connection, scope: dict[str, Any], rule: dict[str, str]) -> None:
    """Check that every bound is at most that of the usual rule."""
    for by in BY:
        usual = releases(connection, by=by, **scope)
        answer = releases(connection, by=by, **scope, **rule)
        most = {row[by]: row for row in usual}
        assert_below(answer.total, usual.total)
        for row in answer:
            if row[by] in most:
                assert_below(row, most[row[by]])


def assert_below(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Check both bounds; None is no upper bound."""
    assert 0 <= one["low"] <= other["low"]
    assert other["high"] is None or one["low"] <= one["high"] <= other["high"]


def explained(connection: sa.Connection, question: dict[str, Any]) -> None:
    """Check that explanations add up to the total and to each row of the answer."""
    answer: Answer = releases(connection, **question)
    numbers = {None: answer.total, **{row["citizenship"]: row for row in answer}}
    for citizenship, number in numbers.items():
        chain = explain_releases(connection, citizenship=citizenship, **question)
        assert (chain.total.low, chain.total.high) == (number["low"], number["high"])
        highs = [one.high for one in chain]
        assert sum(one.low for one in chain) == number["low"]
        assert (None if None in highs else sum(filter(None, highs))) == number["high"]
