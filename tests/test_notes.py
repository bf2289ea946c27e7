"""Signed notes and tree heads: the published vectors of golang/mod, and one change at a time."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadValue
from ledger.merkle import EMPTY_ROOT
from ledger.tlog.head import Head, decode_head, encode_head, open_head, sign_head
from ledger.tlog.note import (
    NOTE_AT_MOST,
    SIGNATURES_AT_MOST,
    BadNote,
    Signer,
    VerifierKey,
    open_note,
    read_signer,
    read_verifier_key,
    sign,
    write_signer,
)

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "vectors/signed_note/note_vectors.json").read_text(encoding="utf-8")
)
PETER, ENOCH = (read_verifier_key(VECTORS["vkeys"][name]) for name in ("peter", "enoch"))
BY_PETER, BY_ENOCH = (VECTORS["sigs"][name] for name in ("peter", "enoch"))
TEXT: str = VECTORS["text"]

SIGNER = Signer("example.org/ledger", bytes(range(32)))
HEAD = Head(SIGNER.name, 20_852_163, sha256(b"some root").digest())
NOTE = sign_head(HEAD, SIGNER)

P = 2**255 - 19
ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
"""The y of a point that eight times over is the neutral one; the other such y is P - ORDER_8."""


# The published vectors.


@pytest.mark.parametrize("name", ["peter", "enoch"])
def test_published_keys(name: str) -> None:
    """A published key is read and spelled again as it was."""
    assert str(read_verifier_key(VECTORS["vkeys"][name])) == VECTORS["vkeys"][name]


def test_the_published_private_key() -> None:
    """The published private key has the published public half, and its text comes back."""
    (text,) = VECTORS["skeys"].values()
    signer = read_signer(text)

    assert signer.key == PETER
    assert write_signer(signer) == text


def test_the_published_signature() -> None:
    """Ed25519 signs without chance: the published note comes out byte for byte."""
    assert sign(TEXT, read_signer(VECTORS["skeys"]["peter"])) == f"{TEXT}\n{BY_PETER}"


@pytest.mark.parametrize(
    ("signatures", "keys"),
    [
        (BY_PETER, [PETER]),
        (BY_ENOCH, [ENOCH]),
        (BY_PETER + BY_ENOCH, [PETER, ENOCH]),
        (BY_PETER + BY_ENOCH, [ENOCH]),
        (BY_ENOCH + BY_PETER, [ENOCH, PETER]),
        (BY_PETER + BY_PETER, [PETER]),
    ],
)
def test_published_notes(signatures: str, keys: list[VerifierKey]) -> None:
    """A published note opens with the keys that signed it, with or without other signatures."""
    note = f"{TEXT}\n{signatures}"

    assert open_note(note, keys) == open_note(note.encode(), keys) == TEXT


@pytest.mark.parametrize(
    ("note", "keys"),
    [(f"{TEXT}\n{BY_PETER}", []), (f"{TEXT}\n{BY_PETER}", [ENOCH]), (TEXT, [PETER])],
)
def test_nobody_known_signed(note: str, keys: list[VerifierKey]) -> None:
    """A note that none of the known keys has signed is refused."""
    with pytest.raises(BadNote):
        open_note(note, keys)


@pytest.mark.parametrize("text", VECTORS["bad_vkeys"])
def test_published_bad_keys(text: str) -> None:
    """A key that the vectors call bad is refused."""
    with pytest.raises(BadValue):
        read_verifier_key(text)


# What a note must not be.


def changed_bits(raw: bytes) -> Iterator[bytes]:
    """Yield the bytes with each of their bits turned in turn."""
    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def opens(note: bytes, key: VerifierKey) -> bool:
    """Return whether the note opens; it raises nothing but BadNote."""
    try:
        open_note(note, [key])
    except BadNote:
        return False
    return True


@pytest.mark.parametrize(
    ("note", "key"), [(f"{TEXT}\n{BY_PETER}", PETER), (NOTE, SIGNER.key)], ids=["published", "head"]
)
def test_every_changed_bit_is_noticed(note: str, key: VerifierKey) -> None:
    """A note with one bit changed is refused: of text, name, key id, signature or between them."""
    raw = note.encode()

    assert opens(raw, key)
    assert [changed for changed in changed_bits(raw) if opens(changed, key)] == []


def test_every_changed_bit_of_a_key_is_noticed() -> None:
    """A verifier key with any one bit changed is refused or is another key by name and id."""
    for changed in changed_bits(str(PETER).encode()):
        try:
            key = read_verifier_key(changed.decode())
        except (BadValue, UnicodeDecodeError):
            continue
        assert key == PETER, "only white space around the key may differ"


def test_every_cut_is_noticed() -> None:
    """A note that was cut off anywhere, or goes on, does not open."""
    raw = NOTE.encode()

    assert [end for end in range(len(raw)) if opens(raw[:end], SIGNER.key)] == []
    assert not opens(raw + b"\n", SIGNER.key)
    assert not opens(raw + b"and more\n", SIGNER.key)


SIGNATURE = NOTE.rpartition("\n\n")[2]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        SIGNATURE,
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("\u2014 ", "- "),
        NOTE.replace("\u2014 ", "\u2014  "),
        NOTE[:-1] + "=\n",
        NOTE[:-1] + " \n",
        NOTE + SIGNATURE.replace("example.org", "example+org"),
        NOTE + "\u2014 example.org/other \n",
        NOTE + "\u2014 example.org/other AAAAAA==\n",
        NOTE + "\u2014 example.org/\u00a0other AAAAAAA=\n",
        NOTE + SIGNATURE * SIGNATURES_AT_MOST,
        NOTE.replace("example", "ex\0ample"),
        NOTE.replace("example", "ex\ud800ample"),
        "x" * NOTE_AT_MOST + NOTE,
    ],
)
def test_malformed_notes(note: str) -> None:
    """A note that is not in the one form is refused, also where the right signature is in it."""
    with pytest.raises(BadNote):
        open_note(note, [SIGNER.key])


def test_a_note_of_many_signatures() -> None:
    """A note may have SIGNATURES_AT_MOST signatures, and one of them that fails spoils it."""
    (_, name, encoded) = SIGNATURE.split()
    spoilt = b64encode(b64decode(encoded)[:-1] + b"\0").decode()
    other = SIGNATURE.replace("example.org", "example.net")
    full = NOTE + other * (SIGNATURES_AT_MOST - 1)

    assert open_note(full, [SIGNER.key]) == encode_head(HEAD)
    assert not opens(f"{NOTE}\u2014 {name} {spoilt}\n".encode(), SIGNER.key)


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "\ud800\n", "x" * NOTE_AT_MOST])
def test_texts_that_are_not_signed(text: str) -> None:
    """A text that no note can hold is not signed."""
    with pytest.raises(BadNote):
        sign(text, SIGNER)


@given(st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]) | st.just("\n")))
def test_texts_that_are_signed(text: str) -> None:
    """Whatever text is signed comes back, also with empty lines and signature lines of its own."""
    text = f"{text}\n"

    assert open_note(sign(text, SIGNER), [SIGNER.key]) == text
    assert open_note(sign(text + "\n" + SIGNATURE, SIGNER), [SIGNER.key]).startswith(text)


# Keys.


def key_text(name: str, public: bytes) -> str:
    """Return the text of a key with the right key id, whatever the key is."""
    key = b"\x01" + public
    key_id = sha256(name.encode() + b"\n" + key).hexdigest()[:8]
    return f"{name}+{key_id}+{b64encode(key).decode()}"


def with_type(text: str, type: int) -> str:
    """Return the text of a key with another signature type before it, and the id as it was."""
    head, encoded = text[:-44], text[-44:]
    return head + b64encode(bytes([type]) + b64decode(encoded)[1:]).decode()


def test_key_texts_here_are_right() -> None:
    """The tests spell a good key as the ledger does."""
    assert key_text(SIGNER.name, SIGNER.key.public) == str(SIGNER.key)
    assert with_type(KEY, 1) == KEY
    assert with_type(write_signer(SIGNER), 1) == write_signer(SIGNER)


LOW_ORDER = [0, 1, P - 1, ORDER_8, P - ORDER_8]
NO_SPELLING = [P, P + 1, *(P + y for y in range(2, 19))]
NO_POINT = [2, 7, 8]


WHYS = {"of low order": LOW_ORDER, "its one spelling": NO_SPELLING, "a point": NO_POINT}


@pytest.mark.parametrize("sign_of_x", [0, 1])
@pytest.mark.parametrize(("why", "y"), [(why, y) for why, ys in WHYS.items() for y in ys])
def test_weak_public_keys(why: str, y: int, sign_of_x: int) -> None:
    """A public key of low order, in a second spelling, or off the curve is refused."""
    public = (y | sign_of_x << 255).to_bytes(32, "little")

    with pytest.raises(BadValue, match=why):
        read_verifier_key(key_text("example.org/ledger", public))


@given(st.binary(min_size=32, max_size=32))
def test_honest_public_keys(seed: bytes) -> None:
    """The public half of every private key is taken, and both texts come back."""
    signer = Signer("example.org/ledger", seed)

    assert read_verifier_key(f"{signer.key}\n") == signer.key
    assert read_signer(f"{write_signer(signer)}\n") == signer


KEY = str(SIGNER.key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "example.org/ledger",
        KEY.replace("example", "exa mple"),
        KEY.replace("example", "example\u2003"),
        KEY.replace("example.org/ledger", ""),
        KEY.replace("5f5b716d", "5F5B716D"),
        KEY.replace("5f5b716d", "5f5b716e"),
        KEY.replace("5f5b716d", "5f5b71"),
        KEY.replace("5f5b716d", "5f 5b 71 6d"),
        KEY.replace("5f5b716d", "no hexes"),
        KEY + "=",
        KEY[:-4],
        KEY + "AAAA",
        key_text("example.org/ledger", SIGNER.key.public + b"\0"),
        with_type(KEY, 4),
        write_signer(SIGNER),
    ],
)
def test_malformed_keys(text: str) -> None:
    """A verifier key that is not in the one form, or has the key id of another, is refused."""
    with pytest.raises(BadValue):
        read_verifier_key(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        KEY,
        write_signer(SIGNER)[:-4],
        write_signer(SIGNER)[:-1] + "A",
        write_signer(SIGNER).replace("example", "exemple"),
        write_signer(SIGNER).replace("5f5b716d", "5f5b716e"),
        write_signer(SIGNER).replace("PRIVATE", "PUBLIC"),
        with_type(write_signer(SIGNER), 2),
    ],
)
def test_private_keys_are_not_shown(text: str) -> None:
    """A private key that is refused, and one that is printed, shows nothing of its seed."""
    with pytest.raises(BadValue) as refusal:
        read_signer(text)

    secret = write_signer(SIGNER).split("+", 4)[-1]
    for shown in (str(refusal.value), repr(refusal.value), repr(SIGNER), str(SIGNER)):
        assert secret[:12] not in shown
        assert SIGNER.seed.hex()[:12] not in shown


# Tree heads.


@pytest.mark.parametrize(
    "head",
    [HEAD, Head("a", 0, EMPTY_ROOT), Head("\u00fcber.example/l", 2**63 - 1, b"\xff" * 32)],
)
def test_heads_come_back(head: Head) -> None:
    """A head that is signed comes back, and its text is origin, size and root."""
    signer = Signer(head.origin, bytes(32))

    assert open_head(sign_head(head, signer), signer.key) == head
    assert encode_head(head).split("\n") == [
        head.origin, str(head.size), b64encode(head.root).decode(), ""
    ]


def test_heads_with_further_lines() -> None:
    """Lines that another log adds to its heads are passed over."""
    assert decode_head(encode_head(HEAD) + "something else\n") == HEAD


ROOT = b64encode(HEAD.root).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"o\n1\n{ROOT}",
        "o\n1\n",
        f"\n1\n{ROOT}\n",
        f"o\n1\n{ROOT}\n\n",
        f"o\n1\n\n{ROOT}\n",
        *(f"o\n{size}\n{ROOT}\n" for size in ("0", "01", "-1", "+1", " 1", "1_0", "\u0661", "1.0")),
        f"o\n{2**63}\n{ROOT}\n",
        f"o\n1{'0' * 5000}\n{ROOT}\n",
        f"o\n1\n{ROOT[:-4]}\n",
        f"o\n1\n{ROOT[:-2]}B=\n",
        f"o\n1\n {ROOT}\n",
        f"o\n1\n{'!' + ROOT[1:]}\n",
        f"o\n1\n{HEAD.root.hex()}\n",
        f"o\t\n1\n{ROOT}\n",
    ],
)
def test_malformed_heads(text: str) -> None:
    """A text that is not a tree head in its one spelling is refused."""
    with pytest.raises(BadNote):
        decode_head(text)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [("", 1, HEAD.root), ("a\nb", 1, HEAD.root), ("a", -1, HEAD.root), ("a", 2**63, HEAD.root),
     ("a", 1, b""), ("a", 1, HEAD.root + b"\0"), ("a", 0, HEAD.root)],
)
def test_impossible_heads(origin: str, size: int, root: bytes) -> None:
    """A head that no log can have is refused when it is made."""
    with pytest.raises(BadValue):
        Head(origin, size, root)


def test_heads_of_another_log() -> None:
    """A key signs and opens heads of the log that has its name, and of no other."""
    other = Head("example.org/other", 3, HEAD.root)

    with pytest.raises(BadValue):
        sign_head(other, SIGNER)
    with pytest.raises(BadNote, match="it is about"):
        open_head(sign(encode_head(other), SIGNER), SIGNER.key)
