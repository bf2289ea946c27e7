"""How many people did a state free, per citizenship and per day, at least and at most?

Reads the streams of developments. Corrections replace, retractions and deprecations leave out,
preferred reports hide the others; each development's bounds are those of its live reports, taken
stage by stage, so that a promise or a refusal never counts as a release. Days bound each other in
the same way.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import sqlalchemy as sa

from ledger.bounds.bounding import bound
from ledger.bounds.claims import STATELESS, UNSTATED, Bounded, Bounds, Claim, Person
from ledger.bounds.days import Span, crosses, hull, meet
from ledger.developments import Live, Report
from ledger.events import Data
from ledger.kinds.fields import FOREIGN
from ledger.projections.projection import Key, Projection, Said, Values, answer_table
from ledger.tables import Name

Number = sa.BigInteger


def _by_state() -> Iterator[sa.Index]:
    """Yield the index of a state, for each database the one that it can hold.

    Whatever an answer about one state adds up stands in it, so that the table is not read; but for
    PostgreSQL, where a row of an index holds 2,704 bytes, the reports that disagree: some hundreds.
    """
    columns = ("released_by", "stage", "stream", "position_from", "position_until", "valid_from",
               "valid_until", "low", "high", "other_high", "disputed")
    for dialect, more in (("sqlite", ("positions",)), ("postgresql", ())):
        yield sa.Index("releases_by_state", *columns, *more).ddl_if(dialect=dialect)


releases = answer_table(
    "releases", "stage",
    "One row per release and stage: how many people in all, at least and at most.",
    sa.Column("released_by", Name, nullable=False,
              comment="ISO code of the state, or the organisation's name"),
    sa.Column("valid_from", Name, comment="earliest day; empty: not stated"),
    sa.Column("valid_until", Name, comment="latest day, included; empty: not stated"),
    sa.Column("low", Number, nullable=False, comment="persons at least"),
    sa.Column("high", Number, comment="persons at most; empty: no upper bound"),
    sa.Column("other_high", Number,
              comment="persons at most under any one citizenship that is not listed"),
    sa.Column("disputed", sa.Boolean, nullable=False),
    sa.Column("positions", Name, nullable=False, comment="the reports that disagree"),
    sa.Column("reports", sa.Integer, nullable=False, comment="live reports"),
    *_by_state(),
)

release_citizenships = answer_table(
    "release_citizenships", "stage",
    "One row per release, stage and citizenship: how many of them, at least and at most.",
    sa.Column("citizenship", Name, primary_key=True),
    sa.Column("low", Number, nullable=False),
    sa.Column("high", Number),
    sa.Column("several", Number, nullable=False,
              comment="of them, how many hold another citizenship, too, at most"),
)

release_persons = answer_table(
    "release_persons", "stage",
    "One row per release, stage and person with a key, listed by a report that none contradicts.",
    sa.Column("person", Name, primary_key=True),
    sa.Column("citizenships", Name, nullable=False,
              comment="codes joined by blanks; empty: not stated"),
)

UNKNOWN = "unknown"
NO_STATES = (UNKNOWN, STATELESS)


def of_step(reports: Live) -> Said:
    """Return the rows of the releases that a development reached at one stage."""
    stage, bounded = reports[0].data["stage"], bounded_by(reports)
    said: dict[tuple[str, Key], Values] = {("releases", (stage,)): _release(reports, bounded)}
    for code, bounds in bounded.citizenships.items():
        place = ("release_citizenships", (stage, code))
        several = bounded.several.get(code, 0)
        said[place] = {"low": bounds.low, "high": bounds.high, "several": several}
    for key, held in _sure_persons(reports, bounded).items():
        said["release_persons", (stage, key)] = {"citizenships": " ".join(sorted(held))}
    return said


def party_code(party: Data) -> str:
    """Return the short name of a party: a country's code, or the organisation's name."""
    return str(party["country"]["code"] if "country" in party else party["organisation"])


def state_of(party: Data) -> str | None:
    """Return the code of the state whose own citizens are not foreign; None where there is none:
    nobody is the citizen of an organisation, or of an unknown state."""
    code = party["country"]["code"] if "country" in party else UNKNOWN
    return None if code in NO_STATES else str(code)


@lru_cache(maxsize=1024)  # a report stands through many events of its stream
def claim(report: Report) -> Claim:
    """Return what one report says about how many, for `bounds`.

    People brought to a country bind the total from below, and so does a citizenship's share of
    them: that is what the numbers support; from above they bind only what they state. So do people
    of unknown citizenship, who are none of those listed under any one, and foreigners. A complete
    list that counts unknown ones, too, binds the total from above, and no citizenship.
    """
    data = report.data
    shares = _shares(data["citizenships"])
    # Whoever is unknown may be anybody's citizen, so no list of citizenships is complete; nor is
    # one with some foreigners.
    complete = UNKNOWN not in shares and shares.get(FOREIGN) != UNSTATED
    every = _together(shares.values()) if data["exhaustive"] and UNKNOWN in shares else None
    foreign, unknown = shares.pop(FOREIGN, UNSTATED), shares.pop(UNKNOWN, None)
    stated = _bounds(data["total"])
    least = [stated.low, foreign.low]
    if unknown is not None:  # and none of any citizenship that is listed, or counted as foreign
        least.append(unknown.low + max([foreign.low, *(share.low for share in shares.values())]))
        foreign = Bounds(foreign.low, _together([foreign, unknown]))
    if data["destinations"]:
        least.append(sum(_bounds(line["count"]).low for line in data["destinations"]))
    highs = [high for high in (stated.high, every) if high is not None]
    return Claim(
        report.position,
        Bounds(max(least), min(highs, default=None)),
        shares,
        data["exhaustive"] and complete,
        foreign,
        tuple(map(_person, data["persons"])),
        0 if unknown is None else unknown.low,
    )


@lru_cache(maxsize=1024)  # asked by two projections, and for events that leave the reports alone
def bounded_by(reports: Live) -> Bounded:
    """Return how many people the reports of one development and stage support together."""
    return bound([claim(report) for report in reports], state_of(reports[0].data["by"]))


def days(reports: Live) -> tuple[Span, list[int]]:
    """Return the days that all reports allow; where none is left, those that any allows.

    Also the positions of the reports whose days exclude each other.
    """
    spans = [
        (report.data["when"].get("earliest"), report.data["when"].get("latest"))
        for report in reports
    ]
    if len(spans) == 1:
        return spans[0], []
    earliest, latest = met = meet(spans)
    if not crosses(met):
        return met, []
    odd = [
        report.position
        for report, (start, end) in zip(reports, spans, strict=True)
        if (start and start > latest) or (end and end < earliest)
    ]
    return hull(spans), odd


def _release(reports: Live, bounded: Bounded) -> Values:
    span, odd_days = days(reports)
    by = [party_code(report.data["by"]) for report in reports]
    odd_by = [r.position for r in reports] if len(set(by)) > 1 else []
    positions = sorted({*bounded.positions, *odd_days, *odd_by})
    return {
        "released_by": by[0],
        "valid_from": span[0],
        "valid_until": span[1],
        "low": bounded.total.low,
        "high": bounded.total.high,
        "other_high": bounded.other.high,
        "disputed": bool(positions),
        "positions": " ".join(map(str, positions)),
        "reports": len(reports),
    }


def _sure_persons(reports: Live, bounded: Bounded) -> dict[str, set[str]]:
    """Return the citizenships of each person with a key who was freed by every reading."""
    found: dict[str, set[str]] = {}
    for report in reports:
        if report.data["persons"] and report.position not in bounded.positions:
            for key, held in claim(report).persons:
                if key is not None:
                    found.setdefault(key, set()).update(held)
    return found


def _together(many: Iterable[Bounds]) -> int | None:
    """Return how many they are at most, together; None where one has no upper bound."""
    highs = [bounds.high for bounds in many]
    return None if None in highs else sum(high or 0 for high in highs)


def _shares(lines: list[Data]) -> dict[str, Bounds]:
    """Return the bounds of each citizenship; lines with a destination bind it from below."""
    shares: dict[str, Bounds] = {}
    brought: dict[str, int] = {}
    for line in lines:
        code, count = line["citizenship"]["code"], _bounds(line["count"])
        if "destination" in line:
            brought[code] = brought.get(code, 0) + count.low
        else:
            shares[code] = count
    for code, least in brought.items():
        stated = shares.get(code, UNSTATED)
        shares[code] = Bounds(max(stated.low, least), stated.high)
    return shares


def _bounds(count: Data) -> Bounds:
    return Bounds(count.get("low", 0), count.get("high"))


def _person(person: Data) -> Person:
    """Return the person by stream; without one, somebody who may be anybody on another list.

    Never by name: a name can be erased, and no number may change with it.
    """
    codes = frozenset([country["code"] for country in person["citizenships"]])
    return Person(person.get("person"), codes - {UNKNOWN} if UNKNOWN in codes else codes)


RELEASES = Projection(
    "releases",
    6,
    "How many people did a state free, per citizenship and per day, at least and at most?",
    "development",
    (releases, release_citizenships, release_persons),
    reports=frozenset({"PrisonersReleased"}),
    of_step=of_step,
)


