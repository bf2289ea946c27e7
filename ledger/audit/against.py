"""What a ledger is verified against: heads that were signed, from wherever they were kept.

Takes a head store, or signed notes as they stand in files, mails, proofs and folders of these, and
the verifier key; hands on the heads whose signature holds, and a finding for each where it is the
key's and fails. What is no note, or was not signed by the key, says nothing about the ledger: it is
passed over, and named. Only among the key's own heads in a store it is a finding.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ledger.audit.findings import Findings, Rule
from ledger.audit.heads import HeadStore
from ledger.errors import CouldNot, shown
from ledger.merkle import Frontier, frontier_from_bytes, root
from ledger.tlog.head import Head, open_head
from ledger.tlog.note import AlteredNote, BadNote, VerifierKey

FILE_AT_MOST = 1 << 26
"""Bytes of a file that is looked through for heads: a mailbox of many years is shorter."""
_NO_NOTE = b"SQLite format 3\x00"
_MARK = b"\xef\xbb\xbf"
"""Some editors put it before a text."""
_ROOT = re.compile(rb"[A-Za-z0-9+/]{43}=")
_SIGNATURE = re.compile(rb"\xe2\x80\x94 [^ ]+ [A-Za-z0-9+/]{24,}={0,2}")


@dataclass(frozen=True, slots=True)
class Against:
    """One signed head."""

    size: int
    root: bytes
    kept: str
    """Where, for people."""
    signed_at: str | None = None
    frontier: Frontier | None = None
    """What is needed to go on from there; a note alone has none."""


def from_store(store: HeadStore, key: VerifierKey, found: Findings) -> Iterator[Against]:
    """Yield the heads of the key's origin in a store; each signature is verified (0.1 ms).

    Only the signer writes there, so beside heads of the key a note that is none is a finding. Where
    all are none the key is another one.
    """
    is_the_keys, strangers = False, list[str]()
    for known in store.all(key.name):
        head = _opened(known.note, key, f"{store.place}, size {known.size:,}", found, strangers)
        if head is None:
            continue
        is_the_keys = True
        if (head.size, head.root) != (known.size, known.root):
            says = "of another root" if head.size == known.size else f"of size {head.size:,}"
            found.add(None, Rule.HEAD, f"{store.place}, size {known.size:,}: the note is {says}")
        signed_at: str | None = known.signed_at
        if not _is_time(known.signed_at):
            signed_at = None
            found.add(None, Rule.HEAD, f"{store.place}, size {head.size:,}: signed_at is"
                                       f" {shown(known.signed_at)}")
        frontier = _frontier(head.size, head.root, known.frontier)
        if frontier is None:
            found.add(None, Rule.HEAD,
                      f"{store.place}, size {head.size:,}: the frontier is not the root's")
        yield Against(head.size, head.root, store.place, signed_at, frontier)
    if is_the_keys:
        for stranger in strangers:
            found.add(None, Rule.HEAD, f"the head in {stranger}")
    else:
        found.passed_over += strangers
    if (reason := store.frozen(key.name)) is not None:
        found.add(None, Rule.HEAD, f"{key.name} was frozen: {reason}")


def from_files(path: Path, key: VerifierKey, found: Findings) -> Iterator[Against]:
    """Yield the heads in a file, or in the files of a folder: signed notes, also as they stand in
    a mail or in a proof.

    Hidden files, as those of a git checkout, are nobody's heads. Raises CouldNot where the path, or
    anything in the folder, cannot be read.
    """
    try:
        for file in [path] if path.is_file() else sorted(_files_in(path, found)):
            with file.open("rb") as opened:
                raw = opened.read(FILE_AT_MOST + 1)
            if len(raw) > FILE_AT_MOST:
                found.passed_over.append(f"{file} (it is longer than {FILE_AT_MOST:,} bytes)")
                continue
            for note in list(_notes_in(raw, key.name)) or [raw]:
                head = _opened(note, key, str(file), found, found.passed_over)
                if head is not None:
                    yield Against(head.size, head.root, str(file))
    except OSError as failure:
        where = failure.filename or path
        raise CouldNot(f"read signed heads in {where}", str(failure.strerror or failure)) from None


def _notes_in(raw: bytes, origin: str) -> Iterator[bytes]:
    """Yield each piece of the text that has the shape of a head of that origin, signed by some."""
    lines = raw.removeprefix(_MARK).replace(b"\r\n", b"\n").split(b"\n")  # as mail has them
    name = origin.encode()
    for first, line in enumerate(lines):
        if line != name or not _is_head(lines, first):
            continue
        end = first + 3
        while end < len(lines) and lines[end] and not (lines[end] == name and _is_head(lines, end)):
            end += 1
        last = end + 1
        while last < len(lines) and _SIGNATURE.fullmatch(lines[last]):
            last += 1
        if lines[end : end + 1] == [b""] and last > end + 1:
            yield b"\n".join((*lines[first:last], b""))


def _is_head(lines: list[bytes], first: int) -> bool:
    size, root_hash = (*lines[first + 1 : first + 3], b"", b"")[:2]
    return size.isdigit() and _ROOT.fullmatch(root_hash) is not None


def in_order(heads: Iterable[Against], found: Findings) -> list[Against]:
    """Return the heads by size, one for each; two roots for one size are a finding.

    Two such heads, both signed, prove to anybody that two histories were signed.
    """
    by_size: dict[int, Against] = {}
    for head in heads:
        first = by_size.setdefault(head.size, head)
        if first.root != head.root:
            found.add(None, Rule.FORK, f"two roots were signed for size {head.size:,}: "
                                       f"in {first.kept} and in {head.kept}")
        elif head.frontier is not None and first.frontier is None:
            by_size[head.size] = head
    return [by_size[size] for size in sorted(by_size)]


def is_database(path: Path) -> bool:
    """Return whether a file is a SQLite file, so a head store and no note."""
    if not path.is_file():
        return False
    with path.open("rb") as opened:
        return opened.read(len(_NO_NOTE)) == _NO_NOTE


def _files_in(folder: Path, found: Findings) -> Iterator[Path]:
    def stop(failure: OSError) -> None:
        raise failure

    for here, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not name.startswith(".")]
        links = [Path(here, name) for name in folders if Path(here, name).is_symlink()]
        found.passed_over += [f"{link} (a link to a folder is not followed)" for link in links]
        for name in files:
            path = Path(here, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _opened(
    note: str | bytes, key: VerifierKey, kept: str, found: Findings, strangers: list[str]
) -> Head | None:
    """Return the head that the key signed; None where it did not sign, or not this.

    What it did not sign at all goes to the strangers.
    """
    try:
        return open_head(note, key)
    except AlteredNote as refusal:
        found.add(None, Rule.HEAD, f"the head in {kept}: {refusal}")
    except BadNote as refusal:
        strangers.append(f"{kept} ({refusal.why})")
    return None


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _frontier(size: int, wanted: bytes, blob: bytes) -> Frontier | None:
    try:
        frontier = frontier_from_bytes(size, blob)
    except ValueError:
        return None
    return frontier if root(frontier) == wanted else None
