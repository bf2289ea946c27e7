"""Proofs: of every entry and of all growth, and that nothing else passes for one."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import environment
from signed_logs import (
    CHECKERS,
    ENTRIES,
    LEAVES,
    SIGNER,
    SMALL_WORLD,
    STRANGER,
    SUBTREE,
    VKEY,
    fill,
    growth_of,
    note_of,
    ours,
    proof_of,
    rewrite,
    sign,
    stored,
    theirs,
)

from ledger.audit.proving import NotAsSigned, prove, prove_consistency
from ledger.errors import BadValue
from ledger.merkle import check_inclusion
from ledger.store.connect import reading
from ledger.store.leaves import Damaged
from ledger.tlog.check import check_file
from ledger.tlog.head import Head, sign_head
from ledger.tlog.note import BadNote
from ledger.tlog.proof import (
    CONSISTENCY,
    INCLUSION,
    BadProof,
    decode_consistency,
    decode_proof,
    encode_consistency,
    encode_proof,
    stated_head,
)

PROOF = encode_proof(proof_of(6, 11)).encode()
GROWTH = encode_consistency(growth_of(6, 11)).encode()
FILES = {"a proof": PROOF, "a proof of growth": GROWTH}


@pytest.mark.parametrize("sizes", [range(1, 100), range(100, SMALL_WORLD + 1)])
def test_every_entry_is_proven_in_every_tree(sizes: range) -> None:
    """The proof of every leaf in every tree of the small world is accepted by both checkers."""
    for size in sizes:
        for index in range(size):
            proof = proof_of(index, size)
            raw = encode_proof(proof).encode()
            assert decode_proof(raw.decode()) == proof
            assert [check(raw) for check in CHECKERS] == ["ok", "ok"], (index, size)


@pytest.mark.parametrize("sizes", [range(1, 100), range(100, SMALL_WORLD + 1)])
def test_all_growth_is_proven(sizes: range) -> None:
    """The proof between any two trees of the small world is accepted by both checkers."""
    for new in sizes:
        for old in range(1, new + 1):
            proof = growth_of(old, new)
            raw = encode_consistency(proof).encode()
            assert decode_consistency(raw.decode()) == proof
            assert [check(raw) for check in CHECKERS] == ["ok", "ok"], (old, new)


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES)
@pytest.mark.parametrize("check", CHECKERS)
def test_every_flipped_bit_is_noticed(raw: bytes, check: Callable[[bytes], str]) -> None:
    """A file with one bit flipped, wherever it is, is not accepted."""
    assert check(raw) == "ok"
    for bit in range(8 * len(raw)):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert check(bytes(flipped)) != "ok", (bit, bytes(flipped))


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES)
@pytest.mark.parametrize("check", CHECKERS)
def test_every_cut_file_is_noticed(raw: bytes, check: Callable[[bytes], str]) -> None:
    """A file that is cut off anywhere, or goes on, is not accepted."""
    assert all(check(raw[:length]) != "ok" for length in range(len(raw)))
    assert all(check(raw + more) != "ok" for more in (b"\n", b" ", raw))


@pytest.mark.parametrize("check", CHECKERS)
def test_signed_nonsense_is_not_accepted(check: Callable[[bytes], str]) -> None:
    """A head that the log did sign shows nothing of an entry that is not under its root."""
    for size in (11, 12):
        for bit in range(256):
            root = bytearray(SUBTREE(0, 11))
            root[bit // 8] ^= 1 << bit % 8
            note = sign_head(Head(SIGNER.name, size, bytes(root)), SIGNER)
            assert check(encode_proof(replace(proof_of(6, 11), note=note)).encode()) == "tampered"
    for index in set(range(16)) - {6}:
        moved = replace(proof_of(6, 11), index=index)
        assert check(encode_proof(moved).encode()) == "tampered"


@pytest.mark.parametrize("check", CHECKERS)
def test_another_entry_is_not_accepted(check: Callable[[bytes], str]) -> None:
    """An entry with one bit flipped is not the one that was proven."""
    for bit in range(8 * len(ENTRIES[6])):
        entry = bytearray(ENTRIES[6])
        entry[bit // 8] ^= 1 << bit % 8
        changed = replace(proof_of(6, 11), extra=bytes(entry))
        assert check(encode_proof(changed).encode()) == "tampered"


@pytest.mark.parametrize("check", [ours, theirs])
def test_entry_may_come_beside_the_proof(check: Callable[..., str]) -> None:
    """A proof without its entry needs the entry from elsewhere, and the right one."""
    bare = encode_proof(replace(proof_of(6, 11), extra=None)).encode()
    assert check(bare) == "could_not"
    assert check(bare, ENTRIES[6]) == "ok"
    assert check(bare, ENTRIES[5]) == "tampered"
    assert check(PROOF, ENTRIES[6]) == "ok"
    assert check(PROOF, ENTRIES[5]) == "tampered"


@pytest.mark.parametrize("check", CHECKERS)
def test_a_strangers_head_is_refused(check: Callable[[bytes], str]) -> None:
    """A head that another key of the same name signed is not trusted."""
    proof = replace(proof_of(6, 11), note=note_of(11, STRANGER))
    assert check(encode_proof(proof).encode()) == "refused"
    for growth in (
        replace(growth_of(6, 11), old_note=note_of(6, STRANGER)),
        replace(growth_of(6, 11), new_note=note_of(11, STRANGER)),
    ):
        assert check(encode_consistency(growth).encode()) == "refused"


@pytest.mark.parametrize("check", CHECKERS)
def test_two_heads_of_one_size_are_a_fork(check: Callable[[bytes], str]) -> None:
    """Two signed heads of one size with two roots show that the log has two histories."""
    other = sign_head(Head(SIGNER.name, 11, bytes(32)), SIGNER)
    forked = replace(growth_of(11, 11), old_note=other)
    assert check(encode_consistency(forked).encode()) == "fork"


@pytest.mark.parametrize("check", CHECKERS)
def test_rewritten_history_is_not_growth(check: Callable[[bytes], str]) -> None:
    """A signed head over other entries is not shown to continue the one before."""
    other = sign_head(Head(SIGNER.name, 11, bytes(32)), SIGNER)
    assert check(encode_consistency(replace(growth_of(6, 11), new_note=other)).encode()) == (
        "tampered"
    )
    assert check(encode_consistency(replace(growth_of(6, 11), old=5)).encode()) == "refused"


@pytest.mark.parametrize("check", CHECKERS)
def test_nothing_is_shown_by_an_empty_log(check: Callable[[bytes], str]) -> None:
    """A head without entries is never a reason for content."""
    growth = replace(growth_of(1, 11), old=0, hashes=(), old_note=note_of(0))
    assert check(encode_consistency(growth).encode()) == "could_not"
    proof = replace(proof_of(0, 1), note=note_of(0))
    assert check(encode_proof(proof).encode()) == "tampered"


def test_held_head_is_compared() -> None:
    """The head that the asker holds must be the one in the file, or one of its two."""
    held = stated_head(note_of(6))
    forked = replace(held, root=bytes(32))
    growth, proof = GROWTH, encode_proof(proof_of(2, 6)).encode()
    for raw in (growth, proof):
        assert check_file(raw, SIGNER.key, held=held).status == "ok"
        assert check_file(raw, SIGNER.key, held=forked).status == "fork"
    late = stated_head(note_of(11))
    assert check_file(growth, SIGNER.key, held=late).status == "ok"
    assert check_file(proof, SIGNER.key, held=late).status == "could_not"


REFUSED = (
    b"", b"\n", b"{}", b"\xff\xfe", note_of(11).encode(),
    PROOF.replace(b"@v1", b"@v2"),
    PROOF.replace(b"index 6", b"index 06"),
    PROOF.replace(b"index 6", b"index -6"),
    PROOF.replace(b"index 6", b"index 6 "),
    PROOF.replace(b"index 6", b"index 9223372036854775808"),
    PROOF.replace(b"index 6\n", b""),
    PROOF.replace(b"index 6\n", b"index 6\nAAAA\n"),
    PROOF.replace(b"index 6\n", b"index 6\n" + b"A" * 43 + b"=\n" * 64),
    PROOF.replace(b"extra ", b"extra  "),
    PROOF.replace(b"\n", b"\r\n"),
    GROWTH.replace(b"old 6", b"old six"),
    GROWTH.replace(b"\n\nold 6", b"\nold 6"),
)


@pytest.mark.parametrize("raw", REFUSED)
@pytest.mark.parametrize("check", CHECKERS)
def test_what_is_no_proof_is_refused(raw: bytes, check: Callable[[bytes], str]) -> None:
    """A file in any other form is refused, however it came about."""
    assert check(raw) == "refused"


def test_refusal_says_what_was_wanted() -> None:
    """A file that is no proof is told what one looks like."""
    with pytest.raises(BadProof, match=f"{INCLUSION} or {CONSISTENCY}"):
        check_file(b"hello", SIGNER.key)
    with pytest.raises(BadProof, match="'index 06'"):
        decode_proof(PROOF.decode().replace("index 6", "index 06"))
    with pytest.raises(BadNote, match="not signed by"):
        check_file(PROOF, STRANGER.key)


def test_published_form_is_kept() -> None:
    """A proof file has the lines that the specification names, in its order."""
    lines = PROOF.decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra eyJlbnRyeSI6Nn0="
    assert lines[2] == "index 6"
    assert lines[3 + len(proof_of(6, 11).hashes)] == ""
    assert "\n".join(lines[4 + len(proof_of(6, 11).hashes) :]) == note_of(11)


def test_growth_ends_in_a_witness_request() -> None:
    """What a proof of growth ends in is the body that a witness is sent."""
    body = GROWTH.decode().partition("\n\nold ")[2]
    hashes = len(growth_of(6, 11).hashes)
    assert body.split("\n")[0] == "6"
    assert "\n".join(body.split("\n")[hashes + 2 :]) == note_of(11)


def test_check_needs_no_database_library(tmp_path: Path) -> None:
    """A proof is checked where SQLAlchemy cannot be imported."""
    (tmp_path / "proof").write_bytes(PROOF)
    program = (
        "import sys; sys.modules['sqlalchemy'] = None; sys.modules['sqlite3'] = None\n"
        "from ledger.tlog.check import check_file\n"
        "from ledger.tlog.note import read_verifier_key\n"
        "raw = open(sys.argv[1], 'rb').read()\n"
        "print(check_file(raw, read_verifier_key(sys.argv[2])).status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "proof"), VKEY],
        env=environment(), capture_output=True, text=True, check=True,
    )
    assert done.stdout == "ok\n"


# From a database.


def test_every_event_of_a_ledger_is_proven(engine: sa.Engine) -> None:
    """Every event under a signed head is proven from the database, with its exact bytes."""
    fill(engine, 21)
    entries, note = stored(engine, 21), sign(engine, 19)
    with reading(engine) as connection:
        for position in range(1, 20):
            proof = prove(connection, position, note)
            raw = encode_proof(proof).encode()
            assert proof.extra == entries[position - 1]
            assert [check(raw) for check in CHECKERS] == ["ok", "ok"]
        for position in (0, 20, 21, 22, -1):
            with pytest.raises(BadValue, match="1 to 19"):
                prove(connection, position, note)


def test_growth_of_a_ledger_is_proven(engine: sa.Engine) -> None:
    """The growth between any two signed heads is proven from the database."""
    fill(engine, 12)
    notes = {size: sign(engine, size) for size in range(1, 13)}
    with reading(engine) as connection:
        for new in notes:
            for old in range(1, new + 1):
                proof = prove_consistency(connection, notes[old], notes[new])
                raw = encode_consistency(proof).encode()
                assert [check(raw) for check in CHECKERS] == ["ok", "ok"]
        with pytest.raises(BadValue, match="older head"):
            prove_consistency(connection, notes[12], notes[11])


CHANGES = {
    "an entry": ("UPDATE events SET entry = substr(entry, 2) WHERE position = 4", Damaged),
    "its type": ("UPDATE events SET leaf_hash = 'text' WHERE position = 3", Damaged),
    "another leaf hash": ("UPDATE events SET leaf_hash = (SELECT leaf_hash FROM events WHERE"
                          " position = 1) WHERE position = 2", NotAsSigned),
    "a row": ("DELETE FROM events WHERE position = 4", Damaged),
}


@pytest.mark.parametrize(("statement", "refusal"), CHANGES.values(), ids=CHANGES)
def test_altered_ledger_proves_nothing(
    engine: sa.Engine, statement: str, refusal: type[Exception]
) -> None:
    """A ledger that is not what was signed hands out no proof that would fail."""
    fill(engine, 9)
    note = sign(engine, 9)
    rewrite(engine, statement)
    with reading(engine) as connection, pytest.raises(refusal):
        prove(connection, 4, note)


def test_more_leaves_than_are_read_at_once(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proof does not depend on how many leaf hashes are read at once."""
    fill(engine, 50)
    note = sign(engine, 50)
    monkeypatch.setattr("ledger.store.leaves.LEAVES_AT_ONCE", 7)
    with reading(engine) as connection:
        proof = prove(connection, 23, note)
    assert ours(encode_proof(proof).encode()) == "ok"


def test_small_world_is_what_it_says() -> None:
    """The proofs above are of the tree over the leaves above."""
    assert check_inclusion(6, 11, LEAVES[6], proof_of(6, 11).hashes, SUBTREE(0, 11))
