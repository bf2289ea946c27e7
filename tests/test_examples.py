"""The shipped examples against the claims that they were written from (claims.csv)."""

import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ledger.book import new_id, new_salt, now
from ledger.errors import BadValue
from ledger.examples.shipped import NAMES, example
from ledger.intake.composing import Candidate, read_draft
from ledger.intake.reading import Draft, read_reports
from ledger.intake.recording import Outcome, Writer, record
from ledger.store.connect import connect, reading
from ledger.store.read import read_entry, read_events, read_head

Row = dict[str, str]
Data = dict[str, Any]

_TABLE = Path(__file__).with_name("claims.csv").read_text(encoding="utf-8")
CLAIMS: dict[str, Row] = {row["claim_id"]: row for row in csv.DictReader(io.StringIO(_TABLE))}
CLAIM_IDS = re.compile(r" *#((?: C\d{3})+)")
TYPES = {
    "talks": {"TalksHeld"},
    "pardon": {"PrisonersReleased", "TallyReported"},
    "release": {"PrisonersReleased", "TallyReported"},
    "release_person": {"PrisonersReleased"},
    "transfer": {"PrisonersReleased"},
    "refused_transfer": {"PrisonersReleased"},
    "returned_to_custody": {"PrisonersReleased"},
    "sanction_lifted": {"SanctionsLifted"},
    "sanction_eased": {"SanctionsEased"},
    "stock_still_held": {"TallyReported"},
}
NOT_DONE = {
    "C030": "promised", "C033": "refused", "C034": "refused", "C035": "reversed",
    "C038": "ordered", "C040": "ordered",
}
STREAMS = {
    "BY-2025-06-21": {"by-release-2025-06-21", "by-us-talks-2025-06-21"},
    "BY-2025-07": {"by-release-2025-07"},
    "BY-2025-09-11": {
        "by-release-2025-09-11", "by-us-talks-2025-09-11", "us-by-belavia-2025-09-11",
    },
    "BY-2025-09-16": {"by-release-2025-09-16"},
    "BY-2025-11-20": {"by-release-2025-11-20"},
    "BY-2025-11-22": {"by-release-2025-11-22"},
    "BY-2025-12-13": {
        "by-release-2025-12-13", "by-us-talks-2025-12-13", "us-by-potash-2025-12-13",
        "by-released-since-2025-11", "by-released-since-2024-07",
    },
    "BY-STATKEVICH": {"by-release-2025-09-11", "by-release-2026-02-19"},
    "BY-STOCK": {"by-political-prisoners-held"},
}


def drafts(name: str) -> list[Draft]:
    """Return the reports of an example as they were written."""
    found = list(read_reports(io.BytesIO(example(name))))
    assert all(isinstance(draft, Draft) for draft in found)
    return [draft for draft in found if isinstance(draft, Draft)]


@cache
def candidates(name: str) -> dict[int, Candidate]:
    """Return the reports of an example in the form in which they are recorded, by line."""
    return {draft.line: read_draft(draft) for draft in drafts(name)}


def claim_ids_by_line() -> Iterator[tuple[int, list[str]]]:
    """Yield the claims named above each report of `wider`, with the report's line."""
    lines = example("wider").decode().splitlines()
    for number, (line, following) in enumerate(itertools.pairwise(lines), start=1):
        if match := CLAIM_IDS.fullmatch(line):
            assert following.startswith("  - kind: "), f"line {number} stands above no report"
            yield number + 1, match[1].split()


@cache
def report_of() -> dict[str, Candidate]:
    """Return the report of `wider` that carries each claim."""
    by_line = candidates("wider")
    return {claim: by_line[line] for line, claims in claim_ids_by_line() for claim in claims}


def how_many(line: Data) -> tuple[int | None, int | None]:
    """Return the low and the high of a total, or of a line of a breakdown."""
    count = line.get("count", line)
    return count.get("low"), count.get("high")


def share(data: Data, row: Row) -> Data:
    """Return the line of the breakdown that the claim is about."""
    if not row["citizenship"]:
        return arrival(data, row)
    code = "foreign" if row["citizenship"] == "FOREIGN" else row["citizenship"]
    lines: list[Data] = data["citizenships"]
    (line,) = (line for line in lines if line["citizenship"]["code"] == code)
    return line


def arrival(data: Data, row: Row) -> Data:
    """Return the line of the destinations that the claim is about."""
    lines: list[Data] = data["destinations"]
    (line,) = (line for line in lines if line["destination"]["code"] == row["destination"])
    return line


def has_total(data: Data, row: Row) -> bool:
    """Say whether the total, and the one citizenship it may be about, are the claim's number."""
    exact = (int(row["quantity"]),) * 2
    whole = how_many(data["total"]) == exact
    return whole and (not row["citizenship"] or how_many(share(data, row)) == exact)


def has_subset(data: Data, row: Row) -> bool:
    """Say whether the line of the breakdown has exactly the claim's number."""
    return how_many(share(data, row)) == (int(row["quantity"]),) * 2


def has_some(data: Data, row: Row) -> bool:
    """Say whether the citizenship is listed as at least 1, with no upper bound."""
    return how_many(share(data, row)) == (1, None)


def has_member(data: Data, row: Row) -> bool:
    """Say whether one person of that citizenship is named, and no total is made out of it."""
    (person,) = data["persons"]
    codes = [country["code"] for country in person["citizenships"]]
    return codes == [row["citizenship"]] and how_many(data["total"]) == (None, None)


def has_more_than(data: Data, row: Row) -> bool:
    """Say whether the total begins one above the claim's number and is open."""
    return how_many(data["total"]) == (int(row["quantity"]) + 1, None)


def has_nothing(data: Data, row: Row) -> bool:
    """Say whether no total is stated, as in the claim."""
    return how_many(data.get("total", {})) == (None, None)


SAYS: dict[str, Callable[[Data, Row], bool]] = {
    "total": has_total,
    "subset": has_subset,
    "at_least_one": has_some,
    "among_cumulative": has_some,
    "member": has_member,
    "cumulative": has_total,
    "cumulative_more_than": has_more_than,
    "": has_nothing,
}


@pytest.fixture
def ledger(sqlite_database: str) -> Iterator[sa.Engine]:
    """An engine on a fresh, migrated SQLite file."""
    engine = connect(sqlite_database)
    yield engine
    engine.dispose()


def record_example(engine: sa.Engine, name: str) -> Outcome:
    """Record an example and return what became of its reports."""
    writer = Writer("a tester", now, new_id, new_salt)
    return record(engine, read_reports(io.BytesIO(example(name))), writer)


def words_of_names(value: object) -> set[str]:
    """Return the words of all names of people in the data of a report, in small letters."""
    if isinstance(value, list):
        return set().union(*map(words_of_names, value))
    if not isinstance(value, dict):
        return set()
    names = [value[key] for key in ("name", "speaker") if isinstance(value.get(key), str)]
    if "kind" in value or "country" in value:  # the name of a company, a sector, a town
        names = []
    words = {word.casefold() for name in names for word in name.split()}
    return words.union(*map(words_of_names, value.values()))


def test_only_the_shipped_examples_have_a_name() -> None:
    """Another name is refused, with the names there are."""
    with pytest.raises(BadValue, match=r"got 'articles', wanted one of article, wider"):
        example("articles")


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_recorded_whole(ledger: sa.Engine, name: str) -> None:
    """Each example alone goes into an empty ledger without a refusal and without a flag."""
    outcome = record_example(ledger, name)

    assert outcome.refusals == []
    assert outcome.flags == []
    assert outcome.written
    assert len(outcome.recorded) == outcome.seen == len(drafts(name))
    with reading(ledger) as connection:
        recorded = [(event.type, event.stream, event.data) for event in read_events(connection)]
    read = candidates(name).values()
    assert recorded == [(one.kind.type, one.stream, one.data) for one in read]


@pytest.mark.parametrize("order", [NAMES, tuple(reversed(NAMES))])
def test_recording_the_examples_again_adds_nothing(
    ledger: sa.Engine, order: tuple[str, ...]
) -> None:
    """In either order, both examples are recorded once, however often they are handed in."""
    outcomes = [record_example(ledger, name) for name in order * 2]

    assert [len(outcome.recorded) for outcome in outcomes[2:]] == [0, 0]
    assert [outcome.already for outcome in outcomes] == [0, 0, *(one.seen for one in outcomes[:2])]
    with reading(ledger) as connection:
        assert read_head(connection).size == sum(outcome.seen for outcome in outcomes[:2])


def test_the_examples_meet_in_the_same_developments() -> None:
    """What the article reports is what the wider record reports about the same developments."""
    shared = {one.stream for one in candidates("article").values()} & {
        one.stream for one in candidates("wider").values()
    }

    assert shared == {
        "development/by-us-talks-2025-12-13",
        "development/by-release-2025-12-13",
        "development/us-by-potash-2025-12-13",
        "tally/by-released-since-2025-11",
    }


def test_no_name_of_a_person_is_public(ledger: sa.Engine) -> None:
    """Names of people stand in no stream name and in no entry, except inside a page's address."""
    names = set().union(
        *(words_of_names(one.data) for name in NAMES for one in candidates(name).values())
    )
    assert {"bialiatski", "lukashenko", "coale", "statkevich"} <= names
    assert not {"belavia", "potash", "minsk"} & names

    for name in NAMES:
        record_example(ledger, name)
    with reading(ledger) as connection:
        for position in range(1, read_head(connection).size + 1):
            entry = json.loads(read_entry(connection, position))
            for place in ("url", "locator"):
                entry["data"].get("provenance", {}).pop(place, None)
            public = set(re.findall(r"\w+", json.dumps(entry).casefold()))
            assert not public & names, f"position {position}"


def test_every_claim_is_in_the_wider_record_once() -> None:
    """The comments name each claim once, and every report but an identity carries a claim."""
    named = list(claim_ids_by_line())

    assert Counter(claim for _, claims in named for claim in claims) == Counter(CLAIMS.keys())
    assert len(CLAIMS) == 67
    without = candidates("wider").keys() - {line for line, _ in named}
    assert {candidates("wider")[line].kind.type for line in without} == {"PersonIdentified"}


def test_the_pages_stand_in_the_order_of_their_publication() -> None:
    """Whoever records the file from the top learns of things in the order of the days."""
    reports = candidates("wider").values()
    days = [one.data["provenance"].get("published", {}).get("edtf") for one in reports]

    assert [day for day in days if day] == sorted(day for day in days if day)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_recorded_with_its_number(claim: str) -> None:
    """The report that carries a claim states the claim's number in the claim's relation."""
    row = CLAIMS[claim]

    assert SAYS[row["relation"]](report_of()[claim].data, row)


@pytest.mark.parametrize("claim", [one for one, row in CLAIMS.items() if row["destination"]])
def test_a_claim_is_recorded_with_its_destination(claim: str) -> None:
    """People of a claim are brought to the claim's country, by their line or by all of them."""
    data, row = report_of()[claim].data, CLAIMS[claim]
    place = share(data, row).get("destination") if row["citizenship"] else None

    if place is not None:
        assert place["code"] == row["destination"]
    else:
        (low, _), number = how_many(arrival(data, row)), row["quantity"]
        assert low is not None
        assert low >= int(number)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_recorded_as_what_it_is(claim: str) -> None:
    """Type, stage, stream and day of a report are those of the claims that it carries."""
    report, row = report_of()[claim], CLAIMS[claim]

    assert report.kind.type in TYPES[row["predicate"]]
    assert report.data.get("stage", "done") == NOT_DONE.get(claim, "done")
    assert report.stream is not None
    assert report.stream.split("/")[1] in STREAMS[row["event_key"]]
    assert report.data["when"]["edtf"] == (row["event_date"] or "2025-12-13")


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_is_recorded_with_its_source(claim: str) -> None:
    """Publisher, page and day of publication of a report are those of its claims."""
    provenance, row = report_of()[claim].data["provenance"], CLAIMS[claim]

    assert provenance["publisher"] in row["publisher"]
    page = provenance["url"] if "url" in provenance else provenance["locator"]
    assert page.rstrip("/") == row["url"].rstrip("/")
    assert provenance.get("published", {}).get("edtf", "") == row["published"]
    assert "attributed_to" in provenance or not row["attributed_to"]


def test_the_releases_done_since_november_make_the_tally() -> None:
    """The totals of the three releases that are done add up to the 156 that sources claim."""
    totals: dict[str, set[int]] = {}
    for report in candidates("wider").values():
        data, stream = report.data, str(report.stream)
        if stream.startswith("development/by-release-") and data["stage"] == "done":
            exact = {data["total"]["low"]} if data["total"]["relation"] == "exact" else set()
            totals[stream] = totals.get(stream, set()) | exact

    dates = ("2025-11-20", "2025-11-22", "2025-12-13")
    assert [totals[f"development/by-release-{date}"] for date in dates] == [{2}, {31}, {123}]
    assert report_of()["C044"].data["total"]["low"] == 2 + 31 + 123
