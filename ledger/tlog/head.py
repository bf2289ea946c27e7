"""Tree heads: what a log commits to, as a text that is signed.

Takes a size and a root under the log's name, its origin, and hands on a C2SP tlog-checkpoint; takes
such a note and hands on the head whose signature was verified. Opens no file.
"""

import re
from dataclasses import dataclass

from ledger.errors import BadValue
from ledger.merkle import EMPTY_ROOT, HASH_SIZE
from ledger.tlog.base64 import from_base64, to_base64
from ledger.tlog.note import BadNote, Signer, VerifierKey, open_note, sign

SIZE_AT_MOST = 2**63 - 1
_SIZE = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """The root over the first `size` entries of the log that is named `origin`.

    Raises BadValue for an origin that is not one line, a size below 0 or over SIZE_AT_MOST, and a
    root that is no hash or, for the empty tree, not EMPTY_ROOT.
    """

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or any(character < " " for character in self.origin):
            raise BadValue(self.origin, "an origin: one line that is not empty")
        if not 0 <= self.size <= SIZE_AT_MOST:
            raise BadValue(self.size, f"a tree size from 0 to {SIZE_AT_MOST}")
        if len(self.root) != HASH_SIZE or (self.size == 0 and self.root != EMPTY_ROOT):
            raise BadValue(self.root.hex(), f"the root hash of a tree of {self.size} leaves")


def encode_head(head: Head) -> str:
    """Return the three lines of a checkpoint: origin, size, root in base64."""
    return f"{head.origin}\n{head.size}\n{to_base64(head.root)}\n"


def decode_head(text: str) -> Head:
    """Return the head that the text of a checkpoint states; raises BadNote.

    Further lines are passed over, as the specification lets logs add some.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise BadNote("its text is not three lines: origin, tree size, root hash")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise BadNote(f"its tree size {size!r} is not a number in its one spelling")
    try:
        return Head(origin, int(size), from_base64(root))
    except (BadValue, ValueError) as refusal:
        raise BadNote(f"its text is no tree head: {refusal}") from None


def sign_head(head: Head, signer: Signer) -> str:
    """Return the head as a signed note; raises BadValue unless the signer's name is its origin."""
    if head.origin != signer.name:
        raise BadValue(head.origin, f"the origin {signer.name}, for which this key signs")
    return sign(encode_head(head), signer)


def open_head(note: str | bytes, key: VerifierKey) -> Head:
    """Return the head that the key signed in this note.

    Raises BadNote if the note is malformed, not signed by the key, or about another log.
    """
    head = decode_head(open_note(note, [key]))
    if head.origin != key.name:
        raise BadNote(f"it is about {head.origin!r}, and the key is for {key.name!r}")
    return head
