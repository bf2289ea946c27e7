"""Proofs as texts: that an entry is in the log, and that the log only grew.

Takes leaf indexes, hashes and signed notes and hands on the text of a proof file, and back. The
proof of one entry is C2SP tlog-proof@v1. The proof of growth is the body that C2SP tlog-witness
lets a log send with `add-checkpoint`, after a line that names the format and the older checkpoint,
so that the file can be checked by itself. Only the one spelling of each proof is read. What a
proof shows is for `check` to say; no signature is looked at here. Opens no file.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ledger.errors import LedgerError, shown
from ledger.merkle import HASH_SIZE
from ledger.tlog.base64 import from_base64, to_base64
from ledger.tlog.head import SIZE_AT_MOST, Head, decode_head

INCLUSION = "c2sp.org/tlog-proof@v1"
"""The first line of a proof that an entry is in the log."""
CONSISTENCY = "incident-ledger/consistency@v1"
"""The first line of a proof that the log only grew."""
HASHES_AT_MOST = 63
"""Hashes in a proof; tlog-witness allows no more, and no tree of 64 bits needs them."""

_NUMBER = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)
_INCLUSION_IN_WORDS = f"a tlog proof: {INCLUSION}, index, hashes, an empty line, a checkpoint"
_CONSISTENCY_IN_WORDS = (
    f"a proof of growth: {CONSISTENCY}, a checkpoint, an empty line, `old` and its size, hashes, "
    "an empty line, a checkpoint"
)


class BadProof(LedgerError):
    """A text is not a proof in its one spelling."""

    def __init__(self, why: str, wanted: str) -> None:
        self.why = why
        super().__init__(f"{why}, wanted {wanted}")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry is leaf `index` under the head in the note."""

    index: int
    """Position - 1."""
    hashes: tuple[bytes, ...]
    """The siblings from the leaf upwards (RFC 6962 section 2.1.1)."""
    note: str
    """The checkpoint, a signed note."""
    extra: bytes | None = None
    """The entry itself, in the proofs of this ledger; nothing vouches for it but its leaf hash."""


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log under the older head is the beginning of the log under the newer one."""

    old: int
    """Size of the older tree."""
    hashes: tuple[bytes, ...]
    """As RFC 6962 section 2.1.2 orders them."""
    old_note: str
    new_note: str


def encode_proof(proof: InclusionProof) -> str:
    """Return the text of a proof file, as C2SP tlog-proof@v1 words it."""
    extra = [] if proof.extra is None else [f"extra {to_base64(proof.extra)}"]
    lines = [INCLUSION, *extra, f"index {proof.index}", *_spelled(proof.hashes), "", proof.note]
    return "\n".join(lines)


def decode_proof(text: str) -> InclusionProof:
    """Return the proof in the text: the inverse of `encode_proof`.

    Raises BadProof for any text that `encode_proof` does not make. The note is not opened.
    """
    top, empty_line, note = text.partition("\n\n")
    first, *lines = top.split("\n")
    if first != INCLUSION or not empty_line or not note:
        raise BadProof(f"got {shown(first)}", _INCLUSION_IN_WORDS)
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = _bytes(lines.pop(0).removeprefix("extra "), _INCLUSION_IN_WORDS)
    index = _number_after("index ", lines, _INCLUSION_IN_WORDS)
    return InclusionProof(index, _hashes(lines[1:], _INCLUSION_IN_WORDS), note, extra)


def encode_consistency(proof: ConsistencyProof) -> str:
    """Return the text of a file that proves growth.

    What follows its second empty line but one is the body of an `add-checkpoint` request.
    """
    body = "\n".join([f"old {proof.old}", *_spelled(proof.hashes), "", proof.new_note])
    return f"{CONSISTENCY}\n{proof.old_note}\n{body}"


def decode_consistency(text: str) -> ConsistencyProof:
    """Return the proof in the text: the inverse of `encode_consistency`.

    Raises BadProof for any text that `encode_consistency` does not make of notes whose text holds
    no empty line. The notes are not opened.
    """
    first, _, rest = text.partition("\n")
    old_note, mark, body = rest.partition("\n\nold ")
    top, empty_line, new_note = body.partition("\n\n")
    if first != CONSISTENCY or not mark or not empty_line or not new_note:
        raise BadProof(f"got {shown(first)}", _CONSISTENCY_IN_WORDS)
    lines = f"old {top}".split("\n")
    old = _number_after("old ", lines, _CONSISTENCY_IN_WORDS)
    hashes = _hashes(lines[1:], _CONSISTENCY_IN_WORDS)
    return ConsistencyProof(old, hashes, old_note + "\n", new_note)


def stated_head(note: str) -> Head:
    """Return the head that the note states, whoever signed it or not; raises BadNote.

    For whoever has the note from a place that he trusts, as the head store.
    """
    return decode_head(note.rpartition("\n\n")[0] + "\n")


def _spelled(hashes: Iterable[bytes]) -> list[str]:
    return [to_base64(one) for one in hashes]


def _number_after(word: str, lines: Sequence[str], wanted: str) -> int:
    line = lines[0] if lines else ""
    number = line.removeprefix(word)
    if not line.startswith(word) or not _NUMBER.fullmatch(number) or int(number) > SIZE_AT_MOST:
        raise BadProof(f"got {shown(line)} for a line with {word.strip()!r}", wanted)
    return int(number)


def _hashes(lines: Sequence[str], wanted: str) -> tuple[bytes, ...]:
    if len(lines) > HASHES_AT_MOST:
        raise BadProof(f"got {len(lines)} hashes", f"at most {HASHES_AT_MOST}")
    hashes = tuple(_bytes(line, wanted) for line in lines)
    for line, one in zip(lines, hashes, strict=True):
        if len(one) != HASH_SIZE:
            raise BadProof(f"got {shown(line)} for a hash", wanted)
    return hashes


def _bytes(text: str, wanted: str) -> bytes:
    """Return the bytes of a text in base64, if it is their one spelling (RFC 4648)."""
    try:
        return from_base64(text)
    except ValueError:
        raise BadProof(f"got {shown(text)} for base64", wanted) from None
