"""What a stream adds up to, and which event may follow which history: tables of short histories."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.developments import Development, Gone, check_may_follow, evolve, fold
from ledger.errors import MayNotFollow
from ledger.events import RecordedEvent
from ledger.kinds.registry import KINDS

STREAM = "development/a"

Said = tuple[str, dict[str, Any]]
"""The type of an event and its data, as far as they matter here."""

FREED: Said = ("PrisonersReleased", {"total": 1})
FREED_2: Said = ("PrisonersReleased", {"total": 2})
HELD: Said = ("PrisonersDetained", {"total": 3})
TALKS: Said = ("TalksHeld", {"subjects": []})
AGREED: Said = ("AgreementReached", {"subject": "x"})
PROMISED: Said = ("CommitmentMade", {"subject": "x"})
PERSON: Said = ("PersonIdentified", {"name": "A. Name"})
ERASED: Said = ("PersonalDataErased", {"position": 10})
LINK: Said = ("DevelopmentsLinked", {"to": "development/b", "link": "follows", "denied": False})
MERGE: Said = ("DevelopmentsMerged", {"same_as": "development/b"})


def correct(at: int, said: Said = FREED_2) -> Said:
    return "ReportCorrected", {"position": at, "type": said[0], "report": said[1]}


def retract(at: int) -> Said:
    return "ReportRetracted", {"position": at}


def rank(at: int, rank: str) -> Said:
    return "ReportRanked", {"position": at, "rank": rank}


def unlink(at: int) -> Said:
    return "LinkWithdrawn", {"position": at}


def unmerge(at: int) -> Said:
    return "MergeWithdrawn", {"position": at}


def history(said: Sequence[Said], stream: str = STREAM) -> list[RecordedEvent]:
    """Return the events, at positions 10, 20, 30, … of the log; each may follow the ones before."""
    events: list[RecordedEvent] = []
    for version, (type, data) in enumerate(said, start=1):
        check_may_follow(fold(stream, events), type, data)
        events.append(
            RecordedEvent(
                version * 10, f"id-{version}", stream, version, type, KINDS[type].type_version,
                "2025-12-13T00:00:00.000000Z", "anna", data,
            )
        )
    return events


def folded(*said: Said) -> Development:
    return fold(STREAM, history(said))


def summary(reports: Sequence[Any]) -> list[tuple[int, str, dict[str, Any]]]:
    return [(report.position, report.type, report.data) for report in reports]


@pytest.mark.parametrize(
    ("said", "standing", "live"),
    [
        ([], [], []),
        ([FREED], [10], [10]),
        ([FREED, FREED_2, HELD], [10, 20, 30], [10, 20, 30]),
        ([FREED, correct(10)], [20], [20]),
        ([FREED, correct(10), correct(20, HELD)], [30], [30]),
        ([FREED, FREED, correct(10)], [20, 30], [30, 20]),
        ([FREED, retract(10)], [], []),
        ([FREED, correct(10), retract(20)], [], []),
        ([FREED, retract(10), FREED], [30], [30]),
        ([FREED, FREED, rank(20, "preferred")], [10, 20], [20]),
        ([FREED, FREED, rank(20, "preferred"), rank(10, "preferred")], [10, 20], [10, 20]),
        ([FREED, FREED, rank(20, "preferred"), rank(20, "normal")], [10, 20], [10, 20]),
        ([FREED, FREED, rank(20, "preferred"), retract(20)], [10], [10]),
        ([FREED, FREED, rank(10, "deprecated")], [10, 20], [20]),
        ([FREED, rank(10, "deprecated")], [10], []),
        ([FREED, rank(10, "deprecated"), rank(10, "normal")], [10], [10]),
        ([FREED, FREED, rank(10, "preferred"), rank(20, "deprecated")], [10, 20], [10]),
        ([FREED, FREED, rank(10, "preferred"), rank(10, "deprecated")], [10, 20], [20]),
        ([FREED, LINK, MERGE, ERASED], [10], [10]),
    ],
)
def test_what_stands(said: list[Said], standing: list[int], live: list[int]) -> None:
    """Corrections replace in place, retractions take away, preferred hide normal, deprecated never
    count."""
    development = folded(*said)

    assert sorted(development.reports) == standing
    assert [report.position for report in development.live] == live
    assert development.stream_version == len(said)
    assert all(report.position == at for at, report in development.reports.items())


@pytest.mark.parametrize(
    ("word", "live"), [("preferred", [40]), ("deprecated", [20]), ("normal", [40, 20])]
)
def test_a_correction_keeps_the_rank(word: str, live: list[int]) -> None:
    """A corrected report keeps its rank, so that mending a spelling never changes what counts."""
    ranked = ERASED if word == "normal" else rank(10, word)
    development = folded(FREED, FREED, ranked, correct(10))

    assert [report.position for report in development.live] == live
    assert development.reports[40].rank == word


def test_a_correction_restates_in_full() -> None:
    """After a correction the report has the type and the data restated, at its own position."""
    development = folded(FREED, correct(10, HELD))

    assert summary(development.live) == [(20, *HELD)]
    assert development.gone == {10: Gone(20, "corrected")}


def test_what_is_gone_is_known() -> None:
    """Whatever no longer stands is known with the position that ended it, and how."""
    development = folded(FREED, correct(10), retract(20), LINK, unlink(40), MERGE, unmerge(60))

    assert development.gone == {
        10: Gone(20, "corrected"),
        20: Gone(30, "withdrawn"),
        40: Gone(50, "withdrawn"),
        60: Gone(70, "withdrawn"),
    }
    assert (development.reports, development.links, development.merges) == ({}, {}, {})


def test_links_and_merges() -> None:
    """Links and merges stand by position, and withdrawing one leaves the others."""
    other: Said = ("DevelopmentsLinked", {"to": "development/c", "link": "fulfils", "denied": True})
    third: Said = ("DevelopmentsMerged", {"same_as": "development/c"})
    development = folded(LINK, other, MERGE, third, unlink(10), unmerge(30))

    assert development.links == {20: other[1]}
    assert development.merges == {40: "development/c"}
    assert development.live == ()


def test_persons_are_merged() -> None:
    """A merge of persons stands in the person's stream, beside what is said of the person."""
    merge: Said = ("PersonsMerged", {"same_as": "person/b"})
    development = fold("person/a", history([PERSON, merge], "person/a"))

    assert development.merges == {20: "person/b"}
    assert summary(development.live) == [(10, *PERSON)]
    assert development.family == "person"


@pytest.mark.parametrize(
    ("before", "said", "why"),
    [
        ([FREED], TALKS, "holds custody reports, so TalksHeld belongs in a stream of its own"),
        ([TALKS], HELD, "holds talks reports, so PrisonersDetained belongs in a stream of its own"),
        ([FREED, retract(10)], PROMISED,
         "holds custody reports, so CommitmentMade belongs in a stream of its own"),
        ([FREED], correct(10, TALKS),
         "holds custody reports, so none can be corrected to TalksHeld"),
        ([], retract(10), "position 10 is no report of this stream (its reports: none)"),
        ([FREED, FREED], correct(30),
         "position 30 is no report of this stream (its reports: 10, 20)"),
        ([FREED, FREED], rank(11, "deprecated"),
         "position 11 is no report of this stream (its reports: 10, 20)"),
        ([FREED, LINK], retract(20), "position 20 is no report of this stream (its reports: 10)"),
        ([FREED, MERGE], correct(20), "position 20 is no report of this stream (its reports: 10)"),
        ([FREED, rank(10, "deprecated")], retract(20),
         "position 20 is no report of this stream (its reports: 10)"),
        ([FREED, correct(10)], correct(10), "position 10 was corrected by position 20"),
        ([FREED, correct(10)], retract(10), "position 10 was corrected by position 20"),
        ([FREED, retract(10)], correct(10), "position 10 was withdrawn by position 20"),
        ([FREED, retract(10)], retract(10), "position 10 was withdrawn by position 20"),
        ([FREED, retract(10)], rank(10, "preferred"), "position 10 was withdrawn by position 20"),
        ([FREED], rank(10, "normal"), "the report at position 10 is normal already"),
        ([FREED, rank(10, "preferred")], rank(10, "preferred"),
         "the report at position 10 is preferred already"),
        ([FREED], unlink(10), "position 10 is no link of this stream (its links: none)"),
        ([LINK, MERGE], unlink(20), "position 20 is no link of this stream (its links: 10)"),
        ([LINK, unlink(10)], unlink(10), "position 10 was withdrawn by position 20"),
        ([FREED], unmerge(10), "position 10 is no merge of this stream (its merges: none)"),
        ([MERGE, LINK], unmerge(20), "position 20 is no merge of this stream (its merges: 10)"),
        ([MERGE, unmerge(10)], unmerge(10), "position 10 was withdrawn by position 20"),
        ([MERGE], MERGE, "is merged into development/b already"),
        ([], ("DevelopmentsMerged", {"same_as": STREAM}), "may not be merged into itself"),
        ([], ("PersonsMerged", {"same_as": STREAM}), "may not be merged into itself"),
        ([], ("DevelopmentsLinked", {"to": STREAM}), "may not be linked to itself"),
    ],
)
def test_what_may_not_follow(before: list[Said], said: Said, why: str) -> None:
    """An event that its history forbids is refused with the stream and the reason in words."""
    development = folded(*before)

    with pytest.raises(MayNotFollow) as refusal:
        check_may_follow(development, *said)
    assert str(refusal.value) == f"{STREAM}: {why}"
    assert (refusal.value.stream, refusal.value.why) == (STREAM, why)


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([], FREED),
        ([FREED], FREED),
        ([FREED], HELD),
        ([AGREED], PROMISED),
        ([LINK, MERGE], TALKS),
        ([], LINK),
        ([LINK], LINK),
        ([], MERGE),
        ([MERGE, unmerge(10)], MERGE),
        ([MERGE], ("DevelopmentsMerged", {"same_as": "development/c"})),
        ([FREED], correct(10, HELD)),
        ([FREED, rank(10, "deprecated")], correct(10)),
        ([FREED, rank(10, "deprecated")], retract(10)),
        ([FREED, rank(10, "deprecated")], rank(10, "preferred")),
        ([FREED, correct(10)], correct(20)),
        ([FREED, correct(10)], rank(20, "preferred")),
        ([FREED, retract(10)], FREED),
        ([FREED], ERASED),
    ],
)
def test_what_may_follow(before: list[Said], said: Said) -> None:
    """What its history allows passes, and is there afterwards."""
    assert folded(*before, said).stream_version == len(before) + 1


def test_every_type_is_decided() -> None:
    """Every event type can be folded: none of them is unknown to the fold or to the rules."""
    after: dict[str, list[Said]] = {
        "ReportCorrected": [FREED, correct(10)],
        "ReportRetracted": [FREED, retract(10)],
        "ReportRanked": [FREED, rank(10, "preferred")],
        "LinkWithdrawn": [LINK, unlink(10)],
        "MergeWithdrawn": [MERGE, unmerge(10)],
        "DevelopmentsLinked": [LINK],
        "DevelopmentsMerged": [MERGE],
        "PersonsMerged": [("PersonsMerged", {"same_as": "person/b"})],
    }
    for type in KINDS:
        said = after.get(type, [(type, {"position": 10})])
        assert folded(*said).stream_version == len(said)
        assert bool(folded(*said).family) == (KINDS[type].is_report or said[0] == FREED)


@given(st.lists(st.sampled_from([
    FREED, FREED_2, HELD, LINK, MERGE, ERASED,
    *(step(at) for step in (correct, retract, unlink, unmerge) for at in (10, 20, 30, 40)),
    *(rank(at, word) for at in (10, 20, 30) for word in ("preferred", "normal", "deprecated")),
]), max_size=12))
def test_any_history(wishes: list[Said]) -> None:
    """However events follow, nothing is lost: each report, link and merge stands or is gone."""
    development = Development(STREAM)
    made: list[RecordedEvent] = []
    for type, data in wishes:
        try:
            check_may_follow(development, type, data)
        except MayNotFollow:
            continue
        made = history([*((event.type, event.data) for event in made), (type, data)])
        before, as_it_was = development, repr(development)
        development = evolve(before, made[-1])
        assert repr(before) == as_it_was
    ever = {e.position for e in made if KINDS[e.type].is_report or e.type == "ReportCorrected"}
    ever |= {e.position for e in made if e.type in ("DevelopmentsLinked", "DevelopmentsMerged")}
    standing = [*development.reports, *development.links, *development.merges]

    assert sorted([*standing, *development.gone]) == sorted(ever)
    assert development == fold(STREAM, made)
    ranks = {report.rank for report in development.live}
    assert ranks in (set(), {"preferred"}, {"normal"})
    assert {r.position for r in development.live} <= development.reports.keys()
