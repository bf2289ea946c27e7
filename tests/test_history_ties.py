"""`ledger history`: how one thing belongs to others, seen from both sides, as it stands now."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import data_of, empty_folder, run
from recording import SOURCE, record_text, release

from ledger.cli.history import TIES, TYING
from ledger.kinds.keeping import LINKS
from ledger.store.connect import reading
from ledger.store.read import streams_that_name

TOLD = f"""
{release("a")}
{release("b")}
{release("b-2")}
- {{kind: DevelopmentsMerged, development: a, same_as: b, reason: one bus}}
- {{kind: DevelopmentsLinked, development: b, link: in_exchange_for, to: b-2, provenance: {SOURCE}}}
- {{kind: DevelopmentsLinked, development: b-2, link: follows, to: b, denied: true,
   provenance: {{publisher: B Newspaper, url: https://example.org/b, attributed_to: a minister}}}}
- {{kind: DevelopmentsLinked, development: b-2, link: part_of, to: a, provenance: {SOURCE}}}
"""
WITHDRAWN = """
- {kind: MergeWithdrawn, position: 4, reason: two buses}
- {kind: LinkWithdrawn, position: 5, reason: not said}
- {kind: LinkWithdrawn, position: 6, reason: not said}
"""
FROM_A = """\
1  PrisonersReleased: A Newspaper
4  this one is the same as development/b
7  development/b-2 is part of this one: A Newspaper
"""
FROM_B = """\
2  PrisonersReleased: A Newspaper
4  development/a is the same as this one
5  this one is in exchange for development/b-2: A Newspaper
6  denied: development/b-2 follows this one: B Newspaper, attributed to a
   minister*
"""
PERSONS = f"""
- {{kind: PersonIdentified, person: p-1, name: Anna, provenance: {SOURCE}}}
- {{kind: PersonIdentified, person: p-2, name: Hanna, provenance: {SOURCE}}}
- {{kind: PersonsMerged, person: p-2, same_as: person/p-1, reason: one spelling}}
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three releases, a merge and three links in ./ledger.db."""
    empty_folder(tmp_path, monkeypatch)
    run("record", "-", given=TOLD)


def standing(stream: str) -> str:
    """Return what the history says that stands now."""
    page = run("history", stream).stdout
    return page.partition("What stands now\n")[2].partition("\n\n")[0].rstrip("\n") + "\n"


@pytest.mark.parametrize(("stream", "wanted"), [("a", FROM_A), ("b", FROM_B)])
def test_ties_are_told_on_both_sides(stream: str, wanted: str, told: None) -> None:
    """A merge or a link stands in the history of both ends, with its position and its denial."""
    assert standing(stream) == wanted
    assert run("history", "b").stdout.endswith("and can be erased\n")


def test_withdrawn_ties_are_gone(told: None) -> None:
    """A merge or link that was withdrawn stands no more, on neither side."""
    run("record", "-", given=WITHDRAWN)
    assert standing("a") == "".join(FROM_A.splitlines(keepends=True)[::2])
    assert standing("b") == FROM_B.splitlines(keepends=True)[0]
    assert data_of("history", "b")["merges"] == data_of("history", "b")["links"] == []


def test_ties_in_json(told: None) -> None:
    """JSON has the merges and links of both sides, each with the stream that says so."""
    history = data_of("history", "b")
    assert history["merges"] == [
        {"position": 4, "stream": "development/a", "same_as": "development/b"}
    ]
    assert [tuple(link.values())[:5] for link in history["links"]] == [
        (5, "development/b", "in_exchange_for", "development/b-2", False),
        (6, "development/b-2", "follows", "development/b", True),
    ]
    assert history["links"][1]["provenance"]["attributed_to"] == "a minister"


def test_persons_are_merged_on_both_sides(told: None) -> None:
    """That two persons are one is told in the histories of both."""
    run("record", "-", given=PERSONS)
    assert "10  person/p-2 is the same as this one\n" in standing("p-1")
    assert "10  this one is the same as person/p-1\n" in standing("p-2")


def test_streams_that_name(engine: sa.Engine) -> None:
    """Found are the other streams whose events name one in full, of the asked types only."""
    record_text(engine, TOLD)
    with reading(engine) as connection:
        def naming(stream: str, *types: str) -> list[str]:
            return streams_that_name(connection, stream, types or TYING)

        assert naming("development/b") == ["development/a", "development/b-2"]
        assert naming("development/b", "DevelopmentsMerged") == ["development/a"]
        assert naming("development/b-2") == ["development/b"]
        assert naming("development/b-") == []


def test_every_link_has_words() -> None:
    """For a merge and for every kind of link there are words."""
    assert set(TIES) == {"same_as", *LINKS}
