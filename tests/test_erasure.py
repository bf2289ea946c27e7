"""Erasing: the value is gone everywhere, the events and every proof stay, and no number moves."""

from collections.abc import Callable
from typing import Any
from unicodedata import normalize

import pytest
import sqlalchemy as sa
from erasing_world import LEFT, NAME, WHY, WORLD, disclosures, entries, erased, sealed_left
from recording import SOURCE, record_text, recorded, release

from ledger.answers.registry import QUESTIONS
from ledger.audit.erasing import Find, by_field, by_person, by_text
from ledger.book import now
from ledger.errors import BadReport, BadValue, NotFound
from ledger.merkle import check_inclusion, leaf_hash, prove_inclusion, subtree_over
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up
from ledger.store.connect import reading
from ledger.store.read import read_position


@pytest.fixture
def world(engine: sa.Engine) -> sa.Engine:
    """A ledger in which a person is named in five ways."""
    recorded(engine, WORLD)
    return engine


def answers(engine: sa.Engine, last: int = 8) -> str:
    """Catch everything up and return all answers as of each position of the world, as text."""
    for projection in PROJECTIONS:
        catch_up(engine, projection, now)
    with reading(engine) as connection:
        return "\n".join(
            str([*question.answer(connection, as_of=position)])
            for question in QUESTIONS for position in range(1, last + 1)
        )


def test_a_person(world: sa.Engine) -> None:
    """A person's fields go in each event that names the person, merged or corrected, and no more.

    Others on the same list stay, and so does the name where no stream says whose it is; a note on
    somebody else goes where it has the name.
    """
    done = erased(world, by_person("p-1"))
    assert sealed_left(world) == LEFT
    assert done.plan.persons == ("person/p-1", "person/p-9")
    assert [(one.position, one.pointer) for one in done.plan.mentions] == [
        (3, "/participants/0/name")
    ]
    assert (done.plan.already, done.written) == (0, True)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC"])
def test_accents_are_found_however_they_are_written(engine: sa.Engine, form: Any) -> None:
    """A name is the same whether an accent is part of its letter or stands behind it."""
    name = "José Ñandú"
    persons = f"[{{person: p-1, name: {normalize('NFC', name)}}}]"
    recorded(engine, release("a", persons=persons))
    recorded(engine, release("b", note=f'"saw {normalize("NFD", name)} there"'))
    recorded(engine, release("c", note='"ＪＯＳÉ ÑANDÚ"'))

    by_name = erased(engine, by_text(normalize(form, name)), dry_run=True)
    by_stream = erased(engine, by_person("p-1"))

    assert [one.position for one in by_name.plan.fields] == [1, 2, 3]
    assert [one.position for one in by_stream.plan.mentions] == [2, 3]


@pytest.mark.parametrize("find", [by_person("p-1"), by_text("Brzoza"), by_field(2)])
@pytest.mark.parametrize("words", ["Ms Kowalczyk asked", "BRZOZA"])
def test_part_of_a_name_is_no_reason(world: sa.Engine, find: Find, words: str) -> None:
    """Reason and basis stay for ever, so a word of the name that goes is refused in them."""
    for field in ("reason", "basis"):
        with pytest.raises(BadReport, match="repeats what is erased"):
            erased(world, find, **{field: words})


def test_a_short_name_is_a_word_of_its_own(engine: sa.Engine) -> None:
    """Li stands in no note on Lithuania; where a script sets no blanks, a name stands anywhere."""
    recorded(engine, release("a", persons="""[
      {name: Li, person: p-1}, {name: 李明, person: p-2},
      {name: Olga Stern, person: p-3, note: held by police in Lithuania},
      {name: O. B., person: p-4, note: "with Li, who was ill"}, {name: P. N., note: 由李明说}]"""))

    found = erased(engine, by_person("p-1"), basis="GDPR, applicable", dry_run=True)
    other = erased(engine, by_person("p-2"), dry_run=True)

    assert [one.pointer for one in found.plan.fields] == ["/persons/0/name", "/persons/3/note"]
    assert [one.pointer for one in other.plan.fields] == ["/persons/1/name", "/persons/4/note"]
    with pytest.raises(BadReport, match="repeats what is erased"):
        erased(engine, by_person("p-1"), reason="Li asked")


@pytest.mark.parametrize("pointer", ["", "/", "//"])
def test_no_field_is_not_all_fields(world: sa.Engine, pointer: str) -> None:
    """A variable that is not set erases nothing."""
    with pytest.raises(BadValue, match="a field, as /persons/0/name"):
        by_field(2, [pointer])


def test_what_is_recorded(world: sa.Engine) -> None:
    """Each stream says what was erased from which of its events, by whom, on which basis."""
    done = erased(world, by_person("person/p-9"))
    assert len(done.receipts) == len({one.position for one in done.plan.fields})
    with reading(world) as connection:
        for receipt in done.receipts:
            event = read_position(connection, receipt.position)
            about = read_position(connection, event.data["position"])
            assert (event.type, event.recorded_by) == ("PersonalDataErased", "olga")
            assert event.stream == about.stream
            assert set(event.data["fields_erased"]) == set(about.erased)
            assert (event.data["reason"], event.data["basis"]) == (WHY["reason"], WHY["basis"])


def test_twice(world: sa.Engine) -> None:
    """A second erasure finds nothing new, records nothing and counts what was erased before."""
    first = erased(world, by_person("p-1"))
    second = erased(world, by_person("p-1"))
    assert (second.plan.fields, second.receipts) == ([], [])
    assert second.plan.already == len(first.plan.fields) - 2  # two were found by a name
    assert sealed_left(world) == LEFT


def test_a_dry_run(world: sa.Engine) -> None:
    """A dry run finds the same and changes nothing."""
    before = disclosures(world), entries(world)
    tried = erased(world, by_person("p-1"), dry_run=True)
    assert (disclosures(world), entries(world)) == before
    assert not tried.written
    assert tried.plan.fields == erased(world, by_person("p-1")).plan.fields


def test_keep_notes(world: sa.Engine) -> None:
    """With keep_notes a note that does not name the person stays; one that does goes."""
    erased(world, by_person("p-1", keep_notes=True))
    assert sealed_left(world) == LEFT | {2: {"/persons/1/name", "/note"}}


def test_a_field(world: sa.Engine) -> None:
    """One field goes, with the same place in the correction of its report."""
    done = erased(world, by_field(2, ["persons.0.name"]))
    assert [(one.position, one.pointer) for one in done.plan.fields] == [
        (2, "/persons/0/name"), (6, "/report/persons/0/name")
    ]


NAME_ONE = "/persons/0/name"
KEYED = "{name: Anna Alpha, person: p-1}, {name: Boris Beta, person: p-2}"
NOTED = "{name: Boris Beta, person: p-2, note: b}, {name: Anna Alfa, person: p-1, note: a}"
TURNED = "{name: Boris Beta, person: p-2}, {name: Anna Alfa, person: p-1}"
BARE = "{name: Anna Alpha}, {name: Boris Beta}"
BARE_TURNED = "{name: Boris Beta}, {name: Anna Alfa}"


@pytest.mark.parametrize(("before", "after", "field", "gone", "mentioned"), [
    (KEYED, TURNED, NAME_ONE, [(1, NAME_ONE), (2, "/report/persons/1/name")], []),
    (KEYED, NOTED, "/persons/0",
     [(1, NAME_ONE), (2, "/report/persons/1/name"), (2, "/report/persons/1/note")], []),
    (KEYED, NOTED, "/persons",
     [(1, NAME_ONE), (1, "/persons/1/name"), (2, "/report/persons/0/name"),
      (2, "/report/persons/0/note"), (2, "/report/persons/1/name"),
      (2, "/report/persons/1/note")], []),
    (BARE, BARE_TURNED, NAME_ONE, [(1, NAME_ONE)], [(2, "/report/persons/0/name")]),
    (BARE, BARE, NAME_ONE, [(1, NAME_ONE), (2, "/report/persons/0/name")], []),
])
def test_a_field_of_a_list_that_was_turned_round(
    engine: sa.Engine, before: str, after: str, field: str, gone: list[Any], mentioned: list[Any]
) -> None:
    """A name goes where the same person stands in the correction, and nobody else's with it."""
    report = f"when: 2025-12-13, by: Belarus, total: 2, persons: [%s], provenance: {SOURCE}"
    recorded(engine, f"""
- {{kind: PrisonersReleased, development: by-release, {report % before}}}
- {{kind: ReportCorrected, position: 1, reason: order, type: PrisonersReleased,
   report: {{{report % after}}}}}
""")
    done = erased(engine, by_field(1, [field]))
    assert [(one.position, one.pointer) for one in done.plan.fields] == gone
    assert [(one.position, one.pointer) for one in done.plan.mentions] == mentioned


def test_a_whole_event(world: sa.Engine) -> None:
    """Without a field all sealed fields of the event go."""
    erased(world, by_field(1))
    assert 1 not in sealed_left(world)


def test_a_text(world: sa.Engine) -> None:
    """A text is found in any sealed field, whatever the case of its letters."""
    done = erased(world, by_text(NAME.upper()))
    places = [(one.position, one.pointer) for one in done.plan.fields]
    assert places == [
        (1, "/name"), (2, "/persons/0/name"), (2, "/persons/1/note"), (3, "/participants/0/name")
    ]


REFUSED: list[tuple[Callable[[], Find], type[Exception], str]] = [
    (lambda: by_person("p-404"), NotFound, "person/p-404"),
    (lambda: by_field(404), NotFound, "position 404"),
    (lambda: by_field(2, ["/by"]), BadValue, "a sealed field of position 2"),
    (lambda: by_text(" "), BadValue, "a text"),
]


@pytest.mark.parametrize(("find", "refusal", "words"), REFUSED)
def test_refusals(
    world: sa.Engine, find: Callable[[], Find], refusal: type[Exception], words: str
) -> None:
    """What is not there is refused by name, and nothing is erased."""
    before = disclosures(world)
    with pytest.raises(refusal, match=words):
        erased(world, find())
    assert disclosures(world) == before


@pytest.mark.parametrize("where", ["reason", "basis"])
def test_the_reason_names_nobody(world: sa.Engine, where: str) -> None:
    """A reason or basis that repeats what is erased is refused without repeating it."""
    before = disclosures(world)
    with pytest.raises(BadReport) as refusal:
        erased(world, by_person("p-1"), **{where: f"{NAME.lower()} asked"})
    assert disclosures(world) == before
    assert NAME.lower() not in str(refusal.value).lower()


def test_proofs_still_hold(world: sa.Engine) -> None:
    """Entries, leaf hashes and the root before stay, and proofs made before verify after."""
    before = entries(world)
    size = len(before)
    subtree = subtree_over([leaf for _, leaf in before])
    root = subtree(0, size)
    proofs = [prove_inclusion(index, size, subtree) for index in range(size)]
    erased(world, by_person("p-1"))
    after = entries(world)
    assert after[:size] == before
    assert subtree_over([leaf for _, leaf in after])(0, size) == root
    for index, proof in enumerate(proofs):
        assert check_inclusion(index, size, leaf_hash(after[index][0]), proof, root)


def test_no_number_changes(world: sa.Engine) -> None:
    """Erasing a person with a stream changes no answer, now or as of any position."""
    before = answers(world)
    erased(world, by_person("p-1"))
    assert answers(world) == before
    assert NAME not in before


def test_no_number_rests_on_a_name(engine: sa.Engine) -> None:
    """Two names alone never tell two persons apart, so erasing one changes no number either."""
    for name in ("Anna Adamska", "Olga Novak"):
        recorded(engine, release(persons=f"[{{name: {name}}}]"))
    before = answers(engine, last=2)
    erased(engine, by_field(1, ["/persons/0/name"]))
    assert answers(engine, last=2) == before


def test_recording_again(world: sa.Engine) -> None:
    """The same file recorded after an erasure records nothing and brings nothing back."""
    erased(world, by_person("p-1"))
    again = record_text(world, WORLD)
    assert (len(again.recorded), again.already, again.refusals) == (0, 8, [])
    assert sealed_left(world) == LEFT


def test_every_earlier_position_says_erased(world: sa.Engine) -> None:
    """An erased field reads [erased] wherever an earlier state is read, never nothing."""
    erased(world, by_person("p-1"))
    with reading(world) as connection:
        for position in (1, 2, 6):
            event = read_position(connection, position)
            for pointer in event.erased:
                value: Any = event.data
                for step in pointer.split("/")[1:]:
                    value = value[int(step)] if isinstance(value, list) else value[step]
                assert value == "[erased]"
