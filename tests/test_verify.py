"""The audit of the full history: what is covered, how it goes on, what it says and exits with."""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from command_line import closing, data_of, run, signed_folder
from recording import record_example, recorded, release

from ledger import tables
from ledger.audit import chunks, verifying
from ledger.audit.entries import misformed
from ledger.audit.findings import Findings, Rule, Verdict
from ledger.audit.verifying import verify
from ledger.book import new_id, new_salt, now
from ledger.encoding import compose
from ledger.entry import canonical
from ledger.errors import BadValue
from ledger.examples import shipped
from ledger.store.append import append
from ledger.store.connect import connect, reading, writing
from ledger.store.read import read_entry

SIZE = 52


@pytest.fixture
def ledger_of_two(engine: sa.Engine) -> sa.Engine:
    """A ledger with both shipped examples."""
    record_example(engine, "article")
    record_example(engine, "wider")
    return engine


def first_entry(engine: sa.Engine) -> bytes:
    """Return the bytes at position 1."""
    with reading(engine) as connection:
        return bytes(read_entry(connection, 1))


# Entries.

MISFORMED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a space": (lambda raw: raw.replace(b'"data":', b'"data": ', 1), "canonical"),
    "a key twice": (lambda raw: raw.replace(b'{"', b'{"data":{},"', 1), "canonical"),
    "another order": (lambda raw: raw[:-1] + b',"causation":"x"}', "canonical"),
    "a float": (lambda raw: _with(raw, b'"data":{', b'"data":{"a":1.5,'), "whole number"),
    "a huge number": (lambda raw: _with(raw, b'"data":{', b'"data":{"a":9007199254740993,'),
                      "2^53"),
    "a key of no ASCII": (lambda raw: _with(raw, b'"data":{', '"data":{"Aé":"ü",'.encode()),
                          "ASCII"),
    "another format": (lambda raw: raw.replace(b"ledger/1", b"ledger/2"), "format"),
    "another field": (lambda raw: raw[:-1] + b',"zeal":1}', "zeal"),
    "no data": (lambda raw: canonical({k: v for k, v in json.loads(raw).items() if k != "data"}),
                "data"),
    "a time without zone": (lambda raw: raw.replace(b'Z","recorded_by', b'","recorded_by'),
                            "recorded_at"),
    "no JSON": (lambda raw: raw[:-1], "entry"),
    "not UTF-8": (lambda raw: raw.replace(b'"recorded_by":"', b'"recorded_by":"\xff'), "entry"),
    "too long": (lambda raw: raw.replace(b'"recorded_by":"', b'"recorded_by":"' + b"x" * 65_535),
                 "65,535"),
}


def _with(raw: bytes, old: bytes, new: bytes) -> bytes:
    assert old in raw
    return raw.replace(old, new, 1)


@pytest.mark.parametrize("name", MISFORMED)
def test_misformed_entry_is_told(engine: sa.Engine, name: str) -> None:
    """Bytes that are no entry of the format are refused with the reason."""
    record_example(engine, "article")
    spoil, why = MISFORMED[name]
    raw = first_entry(engine)
    assert misformed(raw) is None
    assert why in str(misformed(spoil(raw)))


def test_misformed_entry_is_found_where_no_head_covers_it(ledger_of_two: sa.Engine) -> None:
    """An entry that fits hash and columns is parsed where no head covers it, and with `deep`."""
    t.unguard(ledger_of_two)
    raw = first_entry(ledger_of_two).replace(b'"data":', b'"data": ', 1)
    t.change(ledger_of_two, 1, entry=raw)
    t.rehash(ledger_of_two)
    head = t.head_of(ledger_of_two)
    done = verify(ledger_of_two)
    assert (done.verdict, done.position) == (Verdict.TAMPERED, 1)
    assert done.findings.counts == {Rule.ENTRY: 1}
    assert verify(ledger_of_two, against=[head]).verdict is Verdict.OK
    assert verify(ledger_of_two, against=[head], deep=True).position == 1


def test_stream_versions_have_no_gap(ledger_of_two: sa.Engine) -> None:
    """A gap in a stream is found also where entry, columns and hashes agree."""
    t.unguard(ledger_of_two)
    t.rewrite(ledger_of_two, SIZE, {"stream_version": 40})
    t.rehash(ledger_of_two)
    done = verify(ledger_of_two)
    assert (done.position, done.findings.counts) == (SIZE, {Rule.STREAM: 1})
    part = verify(ledger_of_two, from_position=SIZE)
    assert part.findings.counts == {Rule.STREAM: 1}


def test_several_recorders_in_one_page(ledger_of_two: sa.Engine) -> None:
    """Who recorded an event may change from one to the next, quotes in the name included."""
    t.unguard(ledger_of_two)
    for position, name in ((5, "anna"), (6, 'b"en'), (9, "zoë")):
        t.rewrite(ledger_of_two, position, {"recorded_by": name})
    t.rehash(ledger_of_two)
    assert verify(ledger_of_two).found == []


def test_findings_are_counted_and_capped(ledger_of_two: sa.Engine) -> None:
    """All findings are counted; the first ones are kept, in order of position."""
    found = Findings()
    for number in range(10_000, 0, -1):
        found.add(number, Rule.LEAF, "x")
    assert found.count == 10_000
    assert [finding.position for finding in found.first()[:3]] == [1, 2, 3]
    assert len(found.kept) <= 400


# Sealed fields.


def sealed_at(engine: sa.Engine) -> tuple[int, str, str, str]:
    """Return position, stream, pointer and digest of one sealed field."""
    with engine.connect() as connection:
        position = connection.scalar(sa.select(sa.func.min(t.D.position))) or 0
    fields = t.entry_at(engine, position)
    pointer, digest = next(iter(fields["_sd"].items()))
    return position, fields["stream"], pointer, digest


def say_erased(engine: sa.Engine, stream: str, position: int, pointer: str, digest: str) -> None:
    """Append the event that says that a field was erased."""
    event = compose("PersonalDataErased", stream, {
        "position": position, "digests": [digest], "fields_erased": [pointer],
        "basis": "asked for", "reason": "asked for"}, id=new_id(), salts=new_salt)
    with writing(engine) as connection:
        append(connection, [event], recorded_by="tester", clock=now)


def test_erased_field_is_no_finding(ledger_of_two: sa.Engine) -> None:
    """A sealed value that is gone is no finding once an event of its stream says so."""
    position, stream, pointer, digest = sealed_at(ledger_of_two)
    t.unguard(ledger_of_two)
    with ledger_of_two.begin() as connection:
        connection.execute(sa.delete(tables.disclosures).where(t.D.digest == digest))
    assert verify(ledger_of_two).findings.counts == {Rule.MISSING: 1}
    say_erased(ledger_of_two, "development/another", position, pointer, digest)
    counts = verify(ledger_of_two).findings.counts
    assert counts == {Rule.MISSING: 1, Rule.ERASURE: 1}  # said in another stream
    say_erased(ledger_of_two, stream, position, pointer, digest)
    assert verify(ledger_of_two).findings.counts == {Rule.ERASURE: 1}


def test_erasure_that_did_not_happen_is_a_finding(ledger_of_two: sa.Engine) -> None:
    """An event that says that something was erased is a finding while that is still there."""
    position, stream, pointer, digest = sealed_at(ledger_of_two)
    say_erased(ledger_of_two, stream, position, pointer, digest)
    done = verify(ledger_of_two)
    assert (done.position, done.findings.counts) == (position, {Rule.ERASURE: 1})
    assert f"as position {SIZE + 1} says" in done.found[0].message


# Parts of the log.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of eight events in pages of four."""
    monkeypatch.setattr(chunks, "CHUNK", 8)
    monkeypatch.setattr(verifying, "CHUNK", 8)
    monkeypatch.setattr(chunks, "PAGE", 4)


@pytest.mark.usefixtures("small")
def test_every_start_and_end_gives_the_same_tree(engine: sa.Engine) -> None:
    """From any position, to any position, with a head at any size, an honest ledger is ok."""
    heads = []
    for number in range(27):
        recorded(engine, release(f"number-{number}"))
        heads.append(t.head_of(engine))
    for first in range(1, 29):
        done = verify(engine, from_position=first, against=heads)
        assert (done.verdict, done.size, done.signed, done.found) == (Verdict.OK, 27, 27, [])
        done = verify(engine, from_position=first, against=heads[18:19])
        assert done.verdict is Verdict.OK
        done = verify(engine, to=min(first, 27), against=heads[20:])
        assert done.size == min(first, 27)
        assert done.verdict is (Verdict.OK if first > 20 else Verdict.COULD_NOT)
    t.unguard(engine)
    for position in (1, 8, 9, 16, 17, 24, 25, 27):
        fields = t.entry_at(engine, position)
        t.rewrite(engine, position, {"recorded_by": "another"})
        assert verify(engine, against=heads).position == position
        t.rewrite(engine, position, fields)
    assert verify(engine, against=heads).verdict is Verdict.OK


@pytest.mark.usefixtures("small")
def test_change_before_the_start_is_seen_by_the_roots(ledger_of_two: sa.Engine) -> None:
    """From a later position on, earlier entries are not hashed, but their leaf hashes count."""
    head = t.head_of(ledger_of_two)
    t.unguard(ledger_of_two)
    t.change(ledger_of_two, 3, leaf_hash=bytes(32))
    done = verify(ledger_of_two, from_position=30, against=[head])
    assert (done.verdict, done.position) == (Verdict.TAMPERED, 1)


@pytest.mark.usefixtures("small")
def test_replaced_events_below_the_start_are_noticed(engine: sa.Engine) -> None:
    """Going on from a signed head notices that the events below are others, not where."""
    record_example(engine, "article")
    head = t.head_of(engine)
    record_example(engine, "wider")
    t.unguard(engine)
    t.rewrite(engine, 3, {"recorded_by": "x"})
    t.rehash(engine)
    done = verify(engine, from_position=head.size + 1, against=[head])
    assert (done.verdict, done.position) == (Verdict.TAMPERED, None)
    whole = verify(engine, against=[head])
    assert (whole.verdict, whole.position) == (Verdict.FORK, 1)


def test_positions_that_are_none_are_refused(ledger_of_two: sa.Engine) -> None:
    """A start before 1, behind the end of the log, or behind the last position is refused."""
    for first, to in ((0, None), (60, None), (5, 4)):
        with pytest.raises(BadValue):
            verify(ledger_of_two, from_position=first, to=to)


def test_several_processes_find_the_same(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes give the findings and the progress that one gives."""
    monkeypatch.setattr(verifying, "WORTH_IT", 0)
    record_example(engine, "article")
    record_example(engine, "wider")
    t.unguard(engine)
    t.change(engine, 7, leaf_hash=bytes(32))
    seen: list[tuple[int, int]] = []

    def tell(done: int, of: int) -> None:
        seen.append((done, of))

    alone, both = (verify(engine, workers=n, on_progress=tell) for n in (1, 2))
    assert alone.found == both.found
    assert both.position == 7
    assert seen == [(SIZE, SIZE), (SIZE, SIZE)]


def test_empty_ledger_has_nothing_to_verify(engine: sa.Engine) -> None:
    """A ledger without events is ok as long as no head says otherwise."""
    done = verify(engine)
    assert (done.verdict, done.size, done.events) == (Verdict.OK, 0, 0)


def test_unreadable_page_is_could_not_verify(sqlite_database: str, tmp_path: Path) -> None:
    """A page that SQLite cannot read ends the run, which says how far it came."""
    engine = connect(sqlite_database)
    for number in range(60):
        recorded(engine, release(f"number-{number}"))
    head = t.head_of(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        page_size = int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
    last = t.entry_at(engine, 60)["id"].encode()
    engine.dispose()
    file = tmp_path / "ledger.db"
    raw = bytearray(file.read_bytes())
    # The page's first byte says of which kind it is.
    at = next(i for i in range(page_size, len(raw), page_size)
              if last in raw[i : i + page_size] and b"incident-ledger" in raw[i : i + page_size])
    raw[at] = 0xEE
    file.write_bytes(raw)
    done = verify(engine, against=[head])
    engine.dispose()
    assert done.verdict is Verdict.COULD_NOT
    assert "malformed" in str(done.failure)


# The command.


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a ledger, a key, and a signed head over its first 13 events."""
    return signed_folder(tmp_path, monkeypatch)


def tamper(position: int) -> None:
    """Change one column of one event behind the ledger's back."""
    with closing("ledger.db") as file:
        file.execute("DROP TRIGGER events_refuse_update")
        file.execute("UPDATE events SET leaf_hash = x'00' WHERE position = ?", (position,))


def test_command_says_ok(signed: Path) -> None:
    """The verdict comes first, then what was not covered; nothing is wider than 80 columns."""
    text = run("audit", "verify", "--vkey", "vkey").stdout
    assert text.startswith("OK to size 13.")
    assert "Not covered" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "no signed head" in run("audit", "verify").stdout


def test_command_counts_what_is_newer(signed: Path) -> None:
    """Events that no head covers yet are counted; --since-head hashes those alone."""
    run("record", "-", "--by", "ben", given=shipped.example("wider"))
    assert "39 newer events not yet signed" in run("audit", "verify", "--vkey", "vkey").stdout
    data = data_of("audit", "verify", "--vkey", "vkey", "--since-head")
    assert (data["first"], data["size"], data["not_yet_signed"]) == (14, SIZE, 39)


def test_command_tells_tampering(signed: Path) -> None:
    """Tampering exits 1 and names the position."""
    tamper(4)
    text = run("audit", "verify", "--vkey", "vkey", code=1).stdout
    assert text.startswith("TAMPERED at position 4")
    data = data_of("audit", "verify", "--vkey", "vkey", code=1)
    assert (data["verdict"], data["position"]) == ("tampered", 4)


@pytest.mark.parametrize("kept", ["public", "ledger.db.heads", "public/checkpoint"])
def test_command_tells_a_rollback(signed: Path, kept: str) -> None:
    """A ledger that is smaller than a signed head exits 5, wherever the head was kept."""
    (signed / "ledger.db").unlink()
    run("init")
    text = run("audit", "verify", "--vkey", "vkey", "--against", kept, code=5).stdout
    assert text.startswith("FORK OR ROLLBACK")


def test_command_compares_projections(signed: Path) -> None:
    """With --projections a changed answer row is a finding; tables never built are named."""
    assert "never built: releases" in run("audit", "verify", "--projections").stdout
    run("projections", "rebuild")
    assert "answer tables" not in run("audit", "verify", "--projections").stdout
    with closing("ledger.db") as file:
        assert file.execute("UPDATE releases SET low = low + 1").rowcount
    data = data_of("audit", "verify", "--projections", code=1)
    assert data["rules"] == {Rule.PROJECTION: 1}


def test_answer_tables_that_are_behind_are_not_covered(
    signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tables have not taken in was compared with nothing. A program that cannot apply an event
    cannot compare; that is no verdict on the ledger."""
    run("projections", "rebuild")
    run("record", "-", given=release("later"))
    said = " ".join(run("audit", "verify", "--projections").stdout.split())
    assert "not taken in: releases from position" in said

    run("projections", "catch-up")
    assert "not taken in" not in run("audit", "verify", "--projections").stdout

    def unable(*_: object) -> None:
        raise ValueError("no such stage")

    monkeypatch.setattr("ledger.projections.projection._asked", lambda projections: defaultdict(
        lambda: [(projection, unable) for projection in projections]))
    said = " ".join(run("audit", "verify", "--projections", code=4).stdout.split())
    assert "but releases cannot apply position 1: ValueError: no such stage" in said


def test_command_is_misused(signed: Path) -> None:
    """Heads need the key that they are signed with, and --since-head has its own start."""
    run("audit", "verify", "--against", "public", code=2)
    run("audit", "verify", "--since-head", code=2)
    run("audit", "verify", "--since-head", "--vkey", "vkey", "--from", "3", code=2)
    run("audit", "verify", "--from", "100", code=2)
    run("audit", "verify", "--from", "12", "--to", "11", code=2)
    run("audit", "verify", "--vkey", "no key", code=4)
    run("audit", "verify", "--vkey", "vkey", "--against", "nowhere", code=4)
