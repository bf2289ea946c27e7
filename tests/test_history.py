"""`ledger history`: what was believed when, of every kind of event, also after an erasure."""

from pathlib import Path

import pytest
from command_line import data_of, empty_folder, run
from recording import SOURCE

STREAM = "by-release"
TOLD = f"""
- kind: PrisonersReleased
  development: {STREAM}
  when: 2025-12-13
  by: Belarus
  total: 123
  persons: [{{name: Anna Adamska, person: p-1, citizenships: [Poland]}}]
  provenance: {SOURCE}
- kind: PrisonersReleased
  development: other
  when: 2025-12-14
  by: Belarus
  provenance: {SOURCE}
- kind: ReportCorrected
  position: 1
  reason: a typing error
  type: PrisonersReleased
  report:
    when: 2025-12-13
    by: Belarus
    total: at least 52
    persons: [{{name: Anna Adamska, person: p-1, citizenships: [Latvia]}}]
    provenance: {SOURCE}
- {{kind: ReportRanked, position: 3, rank: preferred, reason: seen by us}}
- {{kind: DevelopmentsLinked, development: {STREAM}, link: follows, to: other,
   provenance: {SOURCE}}}
- {{kind: DevelopmentsMerged, development: {STREAM}, same_as: other, reason: one bus}}
- {{kind: MergeWithdrawn, position: 6, reason: two buses}}
- {{kind: ReportRetracted, position: 3, reason: taken back}}
"""
STEPS = """\
   ReportCorrected
    position 1; reason a typing error*
      total: 123 → at least 52
      persons: Anna Adamska* (person person/p-1; citizenships Poland) → Anna
      Adamska* (person person/p-1; citizenships Latvia)
   ReportRanked
    position 3; rank preferred; reason seen by us*
   DevelopmentsLinked
    link follows; to development/other
   DevelopmentsMerged
    withdrawn by position 7
    same as development/other; reason one bus*
   MergeWithdrawn
    position 6; reason two buses*
   ReportRetracted
    position 3; reason taken back*
"""


@pytest.fixture(autouse=True)
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream with one event of each kind that keeps the record, in ./ledger.db."""
    empty_folder(tmp_path, monkeypatch)
    run("record", "-", "--by", "anna", given=TOLD)


def page() -> list[str]:
    """Return the lines of the history."""
    return run("history", STREAM).stdout.splitlines()


def test_each_step() -> None:
    """Each event says what it did: a correction with the difference, the others with why."""
    lines = page()
    wanted = [line.strip() for line in STEPS.splitlines() if line.startswith("    ")]
    places = [[line.strip() for line in lines].index(line) for line in wanted]
    assert places == sorted(places)
    types = [line.strip() for line in STEPS.splitlines() if not line.startswith("    ")]
    heads = [line for line in lines if "recorded by anna" in line]
    assert [type for head in heads for type in types if f"  {type}, " in head] == types
    assert max(map(len, lines)) <= 80


def erase() -> None:
    """Erase the person."""
    run("audit", "erase", "--person", "p-1", "--reason", "on request", "--basis", "GDPR",
        "--by", "olga", "--yes")


def test_an_erasure_is_a_step() -> None:
    """An erasure says from which event which fields went, on which basis; not their digests."""
    erase()
    lines = page()
    digests = [digest for event in data_of("history", STREAM)["events"]
               for digest in event["data"].get("digests", ())]
    assert digests
    assert not any(digest in line for digest in digests for line in lines)
    assert ("    position 1; fields erased /persons/0/name; basis GDPR; reason on request" in lines)
    assert "PersonalDataErased, recorded by olga" in "\n".join(lines)
    assert max(map(len, lines)) <= 80


def test_what_was_erased_reads_erased() -> None:
    """After an erasure every step of the past says [erased]; the difference still shows."""
    erase()
    text = " ".join(" ".join(page()).split())
    assert "Adamska" not in text
    assert "persons: [erased] (person person/p-1; citizenships Poland) → [erased]" in text
    assert "total: 123 → at least 52" in text
    first = data_of("history", STREAM)["events"][0]
    assert first["erased"] == ["/persons/0/name"]
    assert first["data"]["persons"][0]["name"] == "[erased]"
