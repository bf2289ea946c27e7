"""Histories for Hypothesis: events of every type over a few streams, each of which may follow.

Hands on Said, one for each position from 1 on, and makes them events, new or recorded. Few streams,
few names and small numbers, so that reports meet, agree and contradict each other.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

from hypothesis import strategies as st

from ledger.encoding import compose, normal
from ledger.events import Data, NewEvent, RecordedEvent
from ledger.kinds.common import STAGES
from ledger.kinds.keeping import LINKS, RANKS
from ledger.kinds.registry import KINDS

Draw = Callable[[st.SearchStrategy[Any]], Any]

RELEASES = ("development/r-a", "development/r-b", "development/r-c")
SANCTIONS = ("development/s-a", "development/s-b")
TALKS = ("development/t-a", "development/t-b")
CODED = ("development/c-a", "development/c-b")
FAMILIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(RELEASES, ("PrisonersReleased", "PrisonersReleased", "PrisonersDetained")),
    **dict.fromkeys(SANCTIONS, ("SanctionsImposed", "SanctionsEased", "SanctionsLifted")),
    **dict.fromkeys(TALKS, ("TalksHeld",)),
    "development/g-a": ("AgreementReached", "CommitmentMade", "StatementMade"),
    **dict.fromkeys(CODED, ("CodedEvent",)),
    "tally/n-a": ("TallyReported",),
    "person/p-a": ("PersonIdentified",),
    "person/p-b": ("PersonIdentified",),
}
"""Which reports stand in which stream."""
DEVELOPMENTS = tuple(name for name in FAMILIES if name.startswith("development/"))
PERSONS = ("person/p-a", "person/p-b")

DAYS = (
    "2025-12-13", "2025-12-13", "2025-12-12/2025-12-14", "2025-12", "2025-11-22", "2025-11-22",
    "../2025-12-13", "2025-11/..", "2025",
)
HOW_MANY = ("unstated", 1, 3, 3, 5, "at least 2", "at most 4", "between 2 and 6", "about 30",
            "more than 4")
PARTIES = ("Belarus", "Belarus", "Belarus", "Russia", {"organisation": "Wagner"})
SHARES: tuple[Any, ...] = (
    {}, {}, {"Belarus": 1}, {"Poland": "at least 1"}, {"Poland": 2, "Ukraine": 3},
    {"Poland": "some", "Britain": "some"}, {"foreign": 2}, {"unknown": 1, "Poland": 1},
    [{"citizenship": "Poland", "destination": "Lithuania", "count": 2},
     {"citizenship": "Poland", "count": "at least 1"}],
)
NAMED: tuple[list[Data], ...] = (
    [], [], [{"name": "A. Name", "citizenships": ["Poland", "Belarus"]}],
    [{"name": "B. Name", "person": "p-a", "citizenships": ["Belarus"]}],
    [{"person": "p-b", "citizenships": []}, {"person": "p-a"}],
)
PUBLISHERS = ("A Newspaper", "B Agency")


@dataclass(frozen=True)
class Said:
    """One event, not recorded yet; `data` is in normal form."""

    type: str
    stream: str
    data: Data


@dataclass
class Record:
    """What has been said, and what of it still stands: position to stream."""

    said: list[Said] = field(default_factory=list)
    reports: dict[int, str] = field(default_factory=dict)
    ranks: dict[int, str] = field(default_factory=dict)
    links: dict[int, str] = field(default_factory=dict)
    merges: dict[int, tuple[str, str]] = field(default_factory=dict)

    def say(self, type: str, stream: str, data: Data) -> int:
        """Add an event and return its position."""
        self.said.append(Said(type, stream, normal(type, data)))
        return len(self.said)

    def there(self, *streams: str) -> list[str]:
        """Return those of the streams that have events."""
        return [name for name in streams if any(one.stream == name for one in self.said)]

    def leads_to(self, start: str, end: str) -> bool:
        """Say whether merges lead from one stream to the other."""
        onward = [there for here, there in self.merges.values() if here == start]
        return start == end or any(self.leads_to(name, end) for name in onward)


@st.composite
def histories(draw: Draw, least: int = 1, most: int = 30) -> tuple[Said, ...]:
    """Return a history of so many events; about half of them keep the record."""
    record = Record()
    for _ in range(draw(st.integers(least, most))):
        draw(st.sampled_from(STEPS))(draw, record)
    return tuple(record.said)


def report(draw: Draw, record: Record, stream: str | None = None) -> None:
    """Report something, or say one more thing about what was reported."""
    stream = stream or draw(st.sampled_from(tuple(FAMILIES)))
    type = draw(st.sampled_from(FAMILIES[stream]))
    position = record.say(type, stream, draw(CONTENT[type]))
    record.reports[position] = stream


def report_release(draw: Draw, record: Record) -> None:
    """Report a release again: most questions are about these."""
    report(draw, record, draw(st.sampled_from(RELEASES)))


def correct(draw: Draw, record: Record) -> None:
    """Restate a report in full."""
    if not record.reports:
        return report(draw, record)
    position = draw(st.sampled_from(sorted(record.reports)))
    stream = record.reports.pop(position)
    type = draw(st.sampled_from(FAMILIES[stream]))
    data = {"position": position, "reason": "misread", "type": type,
            "type_version": KINDS[type].type_version, "report": draw(CONTENT[type])}
    now = record.say("ReportCorrected", stream, data)
    record.reports[now] = stream
    record.ranks[now] = record.ranks.get(position, "normal")


def retract(draw: Draw, record: Record) -> None:
    """Withdraw a report."""
    if not record.reports:
        return report(draw, record)
    position = draw(st.sampled_from(sorted(record.reports)))
    stream = record.reports.pop(position)
    record.say("ReportRetracted", stream, {"position": position, "reason": "misread"})


def rank(draw: Draw, record: Record) -> None:
    """Prefer a report, deprecate it, or neither."""
    if not record.reports:
        return report(draw, record)
    position = draw(st.sampled_from(sorted(record.reports)))
    old = record.ranks.get(position, "normal")
    new = draw(st.sampled_from([rank for rank in RANKS if rank != old]))
    record.ranks[position] = new
    data = {"position": position, "rank": new, "reason": "weighed"}
    record.say("ReportRanked", record.reports[position], data)


def link(draw: Draw, record: Record) -> None:
    """Link a development to another one, or deny it."""
    there = record.there(*DEVELOPMENTS)
    if not there:
        return report(draw, record)
    to = draw(st.sampled_from(there))
    stream = draw(st.sampled_from([name for name in DEVELOPMENTS if name != to]))
    position = record.say("DevelopmentsLinked", stream, {
        "link": draw(st.sampled_from(LINKS)), "to": to, "denied": draw(st.booleans()),
        "provenance": draw(PROVENANCE),
    })
    record.links[position] = stream


def unlink(draw: Draw, record: Record) -> None:
    """Withdraw a link."""
    if not record.links:
        return link(draw, record)
    position = draw(st.sampled_from(sorted(record.links)))
    stream = record.links.pop(position)
    record.say("LinkWithdrawn", stream, {"position": position, "reason": "not said"})


def merge(draw: Draw, record: Record) -> None:
    """Say that two developments are one, or two persons; never in a circle."""
    streams = draw(st.sampled_from(
        (RELEASES, RELEASES, RELEASES, SANCTIONS, TALKS, CODED, DEVELOPMENTS, PERSONS)
    ))
    type = "PersonsMerged" if streams is PERSONS else "DevelopmentsMerged"
    pairs = [
        (here, there)
        for there in record.there(*streams)
        for here in streams
        if not record.leads_to(there, here) and (here, there) not in record.merges.values()
    ]
    if not pairs:
        return report(draw, record)
    here, there = draw(st.sampled_from(pairs))
    position = record.say(type, here, {"same_as": there, "reason": "one story"})
    record.merges[position] = (here, there)


def unmerge(draw: Draw, record: Record) -> None:
    """Withdraw a merge."""
    if not record.merges:
        return merge(draw, record)
    position = draw(st.sampled_from(sorted(record.merges)))
    stream, _ = record.merges.pop(position)
    record.say("MergeWithdrawn", stream, {"position": position, "reason": "two stories"})


def erase(draw: Draw, record: Record) -> None:
    """Say that personal data of a report were erased; the data themselves stay here."""
    if not record.reports:
        return report(draw, record)
    position = draw(st.sampled_from(sorted(record.reports)))
    record.say("PersonalDataErased", record.reports[position], {
        "position": position, "digests": ["x" * 43], "fields_erased": ["/note"],
        "basis": "a request", "reason": "a request",
    })


def aside(draw: Draw, record: Record) -> None:
    """Say what no answer depends on."""
    record.say(*draw(st.sampled_from(ASIDES)))


STEPS = (
    report, report, report, report_release, report_release, report_release, correct, correct,
    retract, rank, rank, link, unlink, merge, merge, unmerge, erase, aside,
)

PROVENANCE = st.sampled_from(
    tuple({"publisher": name, "url": "https://example.org/a"} for name in PUBLISHERS)
)
ASIDES: tuple[tuple[str, str, Data], ...] = (
    ("SourceAssessed", "source/a-newspaper",
     {"publisher": "A Newspaper", "reliability": "B", "reason": "known"}),
    ("SnapshotImported", "listing/x-a",
     {"dataset": "X", "retrieved": "2025-12-13", "document_sha256": "0" * 64, "rows": 1, "added": 1,
      "changed": 0, "removed": 0,
      "provenance": {"publisher": "X", "url": "https://example.org/x"}}),
)


def _form(**fields: Any) -> st.SearchStrategy[Data]:
    return st.fixed_dictionaries({
        "when": st.sampled_from(DAYS), "provenance": PROVENANCE,
        **{
            name: given if isinstance(given, st.SearchStrategy) else st.sampled_from(given)
            for name, given in fields.items()
        },
    })


_STAGE = ("done", "done", "done", *STAGES)
_CUSTODY = _form(
    stage=_STAGE, by=PARTIES, total=HOW_MANY, citizenships=SHARES,
    exhaustive=(False, False, True), persons=NAMED,
    destinations=({}, {}, {"Lithuania": 3}, {"Lithuania": "some", "Ukraine": 2}),
)
_SANCTIONS = _form(
    stage=_STAGE, sender=("United States", {"organisation": "European Union"}),
    target=({"kind": "sector", "name": "potash", "country": "Belarus"},
            {"kind": "entity", "name": "Potash", "country": "Belarus"},
            {"kind": "state", "name": "Belarus"}, {"kind": "person", "person": "A. Name"}),
    measures=([], ["trade"], ["trade", "finance"]),
)
_SPOKEN = _form(subject=("prisoners",), stage=_STAGE)


def _with(given: st.SearchStrategy[Data], **fields: Any) -> st.SearchStrategy[Data]:
    return given.map(lambda data: {**data, **fields})


CONTENT: dict[str, st.SearchStrategy[Data]] = {
    "PrisonersReleased": _CUSTODY,
    "PrisonersDetained": _CUSTODY,
    **dict.fromkeys(("SanctionsImposed", "SanctionsEased", "SanctionsLifted"), _SANCTIONS),
    "TalksHeld": _form(
        stage=_STAGE, form=("visit", "call", "unstated"),
        parties=(["Belarus"], ["Belarus", "United States"], ["Russia", {"organisation": "EU"}]),
        place=({"name": "Minsk", "country": "Belarus"}, {"name": "Somewhere"}),
    ),
    "AgreementReached": _with(_SPOKEN, parties=["Belarus", "United States"]),
    "CommitmentMade": _with(_SPOKEN, by="United States", to="Belarus"),
    "StatementMade": _with(_SPOKEN, by="Belarus"),
    "CodedEvent": _form(
        stage=_STAGE, dataset=("D-1", "D-1", "D-2"), table_version=("1",),
        code=("0841", "084", "FIGHT"),
        actors=([], [{"role": "source", "code": "BLR"}, {"role": "target", "code": "USA"}],
                [{"role": "source", "code": "BLR"}, {"role": "source", "code": "RUS"}]),
    ),
    "TallyReported": _form(
        by=PARTIES, of=("released", "released", "detained"), measure=("cumulative",),
        since=("2025-11", "2025-12-13", "2025"), total=HOW_MANY, category=("unstated", "political"),
    ),
    "PersonIdentified": _form(name=("A. Name",), citizenships=([], ["Poland"])).map(
        lambda data: {name: value for name, value in data.items() if name != "when"}
    ),
}
"""What a report of each type says, as people write it."""


def as_new(said: tuple[Said, ...], start: int = 1) -> list[NewEvent]:
    """Return events to append; ids and salts are the same for the same positions."""
    return [
        compose(one.type, one.stream, one.data, id=f"event-{position}", salts=_salts(position))
        for position, one in enumerate(said, start=start)
    ]


def as_recorded(said: tuple[Said, ...]) -> list[RecordedEvent]:
    """Return the events as they are read from a ledger that holds nothing else."""
    versions: dict[str, int] = {}
    events = []
    for position, one in enumerate(said, start=1):
        versions[one.stream] = version = versions.get(one.stream, 0) + 1
        events.append(
            RecordedEvent(
                position, f"event-{position}", one.stream, version, one.type,
                KINDS[one.type].type_version, "2025-12-13T00:00:00.000000Z", "a tester", one.data,
            )
        )
    return events


def _salts(position: int) -> Callable[[], bytes]:
    numbers = count()
    return lambda: sha256(f"{position} {next(numbers)}".encode()).digest()[:16]
