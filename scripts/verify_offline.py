#!/usr/bin/env python3
"""Check what an incident ledger has given you, on any machine, without the ledger.

This one file needs Python 3.11 or newer and the package `cryptography`, and nothing else. It was
written apart from the ledger's own `ledger audit check`, so that a mistake in one is not a mistake
in both. It checks

  a proof file       (*.tlog-proof)  that one event is in the log, unaltered;
  a growth proof                     that a log under a newer head begins with all of an older one;
  an exported folder                 every event and every tile, under its signed head.

The formats are those of c2sp.org: signed-note, tlog-checkpoint, tlog-proof, tlog-tiles; the tree is
that of RFC 6962. The key must have reached you by another way than the files.
"""

import argparse
import base64
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple, NoReturn

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ModuleNotFoundError:
    print("could not verify: Python's package `cryptography` is missing here; "
          "install it with: python -m pip install cryptography", file=sys.stderr)
    sys.exit(4)

OK, TAMPERED, REFUSED, COULD_NOT, FORK = 0, 1, 3, 4, 5
WORDS = {TAMPERED: "tampered", REFUSED: "refused", COULD_NOT: "could not verify",
         FORK: "fork or rollback"}
CODES = "exit codes: 0 ok, 1 tampered, 2 misused, 3 refused, 4 could not verify, 5 fork or rollback"

ONE_ENTRY = "c2sp.org/tlog-proof@v1"
GROWTH = "incident-ledger/consistency@v1"
ONLY_ONE = "--entry goes with the proof of one event, not with growth or a folder"
FULL = 256
FILE_AT_MOST = 4_000_000
Key = tuple[str, bytes, bytes]  # name, key id, public key
Roots = tuple[bytes, bytes] | None  # of an older tree and a newer one

# Points of small order on Curve25519, as y: a key among them verifies what nobody signed.
FIELD = 2**255 - 19
EIGHT = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = {0, 1, FIELD - 1, EIGHT, FIELD - EIGHT}


class Verdict(Exception):
    """Anything that is not ok; its arguments are an exit code and one sentence."""


class Head(NamedTuple):
    origin: str
    size: int
    root: bytes


def refuse(why: str) -> NoReturn:
    raise Verdict(REFUSED, why)


def from_base64(text: str, what: str = "") -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if base64.b64encode(raw).decode() != text:
        refuse(f"{what or repr(text[:60])} is not base64 in its one spelling")
    return raw


def number(text: str) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text, re.ASCII) or int(text) >= 2**63:
        refuse(f"{text[:60]!r} is not a number in its one spelling")
    return int(text)


def hashes_in(lines: list[str]) -> list[bytes]:
    if len(lines) > 63 or any(len(from_base64(line)) != 32 for line in lines):
        refuse("the proof's lines are not up to 63 hashes of 32 bytes")
    return [from_base64(line) for line in lines]


def read_key(text: str) -> Key:
    """Decode a verifier key, name+id+base64; nothing is shown of one that may be secret."""
    if "PRIVATE+KEY" in text:
        refuse("that is a signing key, for nobody but its signer: give the verifier key")
    name, _, rest = text.strip().partition("+")
    id_text, _, key_text = rest.partition("+")
    raw = from_base64(key_text, "the key's last part")
    if not name or not re.fullmatch("[0-9a-f]{8}", id_text) or len(raw) != 33 or raw[0] != 1:
        refuse("the key is not name+id+base64 of an Ed25519 key")
    wanted = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    if wanted.hex() != id_text:
        refuse(f"the key id {id_text} is not that of this name and key, {wanted.hex()}")
    y = int.from_bytes(raw[1:], "little") & (1 << 255) - 1
    if y in SMALL_ORDER or y >= FIELD:
        refuse("the key is of small order, or not in its one spelling: anybody can sign for it")
    return name, wanted, raw[1:]


def open_head(note: str, key: Key) -> Head:
    """Return the head in a signed note whose signature by the key was verified."""
    name, key_id, public = key
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n") or re.search("[\x00-\x09\x0b-\x1f]", note):
        refuse("the signed head is not a text, an empty line and signatures")
    text, signed = text + "\n", 0
    for line in below[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\N{EM DASH}" or not parts[1]:
            refuse(f"{line[:60]!r} is not a line with a signature")
        raw = from_base64(parts[2])
        if parts[1] == name and raw[:4] == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode())
            except (InvalidSignature, ValueError):
                refuse(f"the signature by {name} fails: the head was altered")
            signed += 1
    if not signed:
        refuse(f"the head is not signed by {name}+{key_id.hex()}")
    lines = text.split("\n")
    if len(lines) < 4 or "" in lines[:-1] or lines[0] != name:
        refuse(f"the signed text is not a head of {name}")
    head = Head(lines[0], number(lines[1]), from_base64(lines[2]))
    if len(head.root) != 32:
        refuse("the root hash in the head has not 32 bytes")
    return head


def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def climb(at: int, last: int, start: bytes, path: list[bytes]) -> Roots:
    """Return what a path leads to from a node: the root of all up to it, and the root of all.

    Both are those of RFC 9162, 2.1.3.2 and 2.1.4.2; None if the path fits not.
    """
    older = newer = start
    for other in path:
        if last == 0:
            return None
        if at % 2 or at == last:
            older, newer = node(other, older), node(other, newer)
            while at % 2 == 0 and at:
                at, last = at // 2, last // 2
        else:
            newer = node(newer, other)
        at, last = at // 2, last // 2
    return (older, newer) if last == 0 else None


def roots_by_growth(old: int, new: int, old_root: bytes, path: list[bytes]) -> Roots:
    """Return both roots that the path leads to; None if it fits not."""
    if old == new:
        return None if path else (old_root, old_root)
    path = path if old & old - 1 else [old_root, *path]
    at, last = old - 1, new - 1
    while at % 2:
        at, last = at // 2, last // 2
    return climb(at, last, path[0], path[1:]) if path else None


def tree(hashes: list[bytes]) -> bytes:
    """Return the root over hashes, level by level; an odd one out is carried up."""
    while len(hashes) > 1:
        pairs = [node(*hashes[at : at + 2]) for at in range(0, len(hashes) - 1, 2)]
        hashes = pairs + hashes[len(pairs) * 2 :]
    return hashes[0] if hashes else hashlib.sha256().digest()


def root_over(tower: list[list[bytes]], leaves: list[bytes]) -> bytes:
    """Return the root over leaves that fill no tile and the rows above them."""
    found = tree(leaves)
    for row in tower[1:]:
        found = tree([*row, found])
    return found


def check_one(text: str, key: Key, held: Head | None, given: bytes | None) -> str:
    """Check a proof of one entry; return what it shows."""
    top, gap, note = text.partition("\n\n")
    entry, lines = given, top.split("\n")[1:]
    if lines and lines[0].startswith("extra "):
        entry = from_base64(lines.pop(0).removeprefix("extra "))
        if given not in (None, entry):
            raise Verdict(TAMPERED, "the entry that was given is not the one in the proof")
    if not gap or not lines or not lines[0].startswith("index "):
        refuse("the file is not a tlog proof")
    index, path = number(lines[0].removeprefix("index ")), hashes_in(lines[1:])
    head = open_head(note, key)
    if entry is None:
        raise Verdict(COULD_NOT, "the proof does not hold the entry; give it with --entry")
    found = climb(index, head.size - 1, leaf(entry), path) if index < head.size else None
    if found is None or found[1] != head.root:
        why = f"the entry is not shown to stand at position {index + 1:,} of {head.size:,} signed"
        raise Verdict(TAMPERED, why)
    compare(held, head)
    where = f"position {index + 1:,} of {head.origin} holds this entry, of {head.size:,} signed"
    return f"{where}\n  leaf hash: {leaf(entry).hex()}\n  entry: {entry!r}"


def check_growth(text: str, key: Key, held: Head | None) -> str:
    """Check a proof that the log only grew; return what it shows."""
    old_note, mark, body = text.partition("\n")[2].partition("\n\nold ")
    top, gap, new_note = body.partition("\n\n")
    if not mark or not gap:
        refuse("the file is not a proof of growth")
    first, *lines = top.split("\n")
    path = hashes_in(lines)
    old, new = open_head(old_note + "\n", key), open_head(new_note, key)
    if number(first) != old.size or old.size > new.size:
        refuse("the sizes in the proof are not those of its two heads")
    if old.size == 0:
        raise Verdict(COULD_NOT, "a head without entries has nothing to be kept")
    if old.size == new.size and old.root != new.root:
        raise Verdict(FORK, f"{new.origin} signed two heads of {new.size:,} entries")
    if roots_by_growth(old.size, new.size, old.root, path) != (old.root, new.root):
        why = f"the log of {new.size:,} is not shown to begin with that of {old.size:,}"
        raise Verdict(TAMPERED, why)
    compare(held, old if held is not None and held.size == old.size else new)
    return f"{new.origin} only grew from {old.size:,} to {new.size:,} entries"


class Export(NamedTuple):
    folder: Path

    def read(self, path: str) -> bytes:
        for name in (path, path.partition(".p/")[0]):
            if (self.folder / name).is_file():
                raw = (self.folder / name).read_bytes()
                return raw if name == path else beginning(path, raw)
        raise Verdict(COULD_NOT, f"the export is not whole: {path} is missing")

    def compare(self, path: str, parts: list[bytes]) -> None:
        """Refuse a tile that has not these parts, and one of an earlier head without the first."""
        if self.read(path) != b"".join(parts):
            raise Verdict(TAMPERED, f"{path} does not agree with the entries")
        for other in self.folder.glob(path.partition(".p/")[0] + ".p/*"):
            width = int(other.name) if other.name.isdecimal() else FULL
            if width < len(parts) and other.read_bytes() != b"".join(parts[:width]):
                raise Verdict(TAMPERED, f"{other}, of an earlier head, is not how it goes on")


def beginning(path: str, full: bytes) -> bytes:
    """Return what a tile held before the log grew over it and the full one took its place."""
    at = 0
    for _ in range(int(path.rpartition("/")[2])):
        at += 2 + int.from_bytes(full[at : at + 2], "big") if "/entries/" in path else 32
    return full[:at]


def check_folder(export: Export, key: Key, held: Head | None) -> str:
    """Check an export, entry by entry and tile by tile; return what it shows."""
    head = open_head(decoded(export.read("checkpoint")), key)
    if head.size == 0:
        raise Verdict(COULD_NOT, "the signed head is one of no entries")
    tower, done, found, forked = list[list[bytes]](), 0, b"", False
    while done < head.size:
        width = min(FULL, head.size - done)
        leaves = checked_bundle(export, done, width)
        if held is not None and done < held.size <= done + width:
            forked = held.root != root_over(tower, leaves[: held.size - done])
        done += width
        if done == head.size:
            found = root_over(tower, leaves)
        grow(tower, export, leaves, done)
    for level, hashes in enumerate(tower[1:], start=1):
        if hashes:
            compare_tile(export, level, done, hashes)
    if found != head.root:
        raise Verdict(TAMPERED, "the entries, with their tiles, are not those that were signed")
    if held is not None and forked:
        raise Verdict(FORK, f"the first {held.size:,} entries are not those of your head")
    if held is not None and held.size > head.size:
        why = f"you hold a head of {held.size:,} entries and this log ends after {head.size:,}"
        raise Verdict(FORK, why + ": it is an older copy, or it was rolled back")
    return f"all {head.size:,} entries of {head.origin} are as they were signed"


def checked_bundle(export: Export, start: int, width: int) -> list[bytes]:
    """Return the leaf hashes of a bundle, each compared with the tile of leaf hashes."""
    above, path = (tile_path(level, start // FULL, width) for level in ("0", "entries"))
    raw, tile, pieces, leaves = export.read(path), export.read(above), [], []
    at = 0
    for place in range(width):
        end = at + 2 + int.from_bytes(raw[at : at + 2], "big")
        pieces.append(raw[at:end])
        leaves.append(leaf(raw[at + 2 : end]))
        if len(raw) < end or leaves[-1] != tile[32 * place : 32 * place + 32]:
            where = f"position {start + place + 1:,}"
            raise Verdict(TAMPERED, f"{where}: entry and leaf hash do not agree")
        at = end
    export.compare(path, pieces)
    export.compare(above, leaves)
    return leaves


def grow(tower: list[list[bytes]], export: Export, leaves: list[bytes], done: int) -> None:
    """Add a tile of leaves; where a tile above becomes full, compare it with the file."""
    level, added = 0, leaves
    while added:
        if level == len(tower):
            tower.append([])
        row, added = tower[level] + added, []
        tower[level] = row
        if len(row) == FULL:
            if level:
                compare_tile(export, level, done, row)
            added, tower[level] = [tree(row)], []
        level += 1


def compare_tile(export: Export, level: int, done: int, hashes: list[bytes]) -> None:
    """Refuse a tile of an upper level that does not hold the roots of the tiles below."""
    under = done // FULL**level
    export.compare(tile_path(str(level), (under - 1) // FULL, len(hashes)), hashes)


def tile_path(level: str, index: int, width: int) -> str:
    """Return where a tile stands, as x001/x234/067, and .p/5 where only 5 are in it."""
    *above, last = [f"{int(part):03d}" for part in f"{index:,}".split(",")]
    path = "".join(f"x{part}/" for part in above) + last
    return f"tile/{level}/{path}" + (f".p/{width}" if width < FULL else "")


def compare(held: Head | None, head: Head) -> None:
    """Refuse to be content where the head that the asker holds speaks against it."""
    if held is None or held == head:
        return
    if held.size == head.size:
        raise Verdict(FORK, f"{head.origin} signed two heads of {head.size:,} entries")
    why = f"from your head of {held.size:,} to this one of {head.size:,} takes a proof of growth"
    raise Verdict(COULD_NOT, why)


def decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        refuse("the file is not UTF-8")


def small_file(path: str) -> bytes:
    """Read a file that cannot be long."""
    with open(path, "rb") as file:
        raw = file.read(FILE_AT_MOST + 1)
    return raw if len(raw) <= FILE_AT_MOST else refuse(f"{path} is too long for a proof")


def check_bytes(raw: bytes, key: Key, held: Head | None = None, entry: bytes | None = None) -> str:
    """Check a proof file of either kind; return what it shows."""
    text = decoded(raw)
    if text.startswith(ONE_ENTRY + "\n"):
        return check_one(text, key, held, entry)
    if text.startswith(GROWTH + "\n"):
        return check_growth(text, key, held) if entry is None else refuse(ONLY_ONE)
    refuse(f"the file begins with neither {ONE_ENTRY} nor {GROWTH}")


def check_path(path: str, key_text: str, against: str | None, entry: str | None) -> str:
    """Check a file or a folder; return what it shows."""
    key = read_key(decoded(small_file(key_text)) if os.path.isfile(key_text) else key_text)
    held = open_head(decoded(small_file(against)), key) if against else None
    if not Path(path).is_dir():
        return check_bytes(small_file(path), key, held, small_file(entry) if entry else None)
    return refuse(ONLY_ONE) if entry else check_folder(Export(Path(path)), key, held)


def main(given: list[str] | None = None) -> int:
    """Run the check and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=CODES)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", metavar="FILE|DIR", help="a proof file or an exported folder")
    parser.add_argument("--key", dest="key_text", required=True, metavar="VKEY|FILE",
                        help="the log's verifier key, name+id+base64, or a file that holds it")
    parser.add_argument("--against", metavar="FILE",
                        help="a signed head that you hold: what is checked must continue it")
    parser.add_argument("--entry", metavar="FILE",
                        help="the exact bytes of the event, for a proof that does not hold them")
    try:
        print("ok: " + check_path(**vars(parser.parse_args(given))))
    except (Verdict, OSError) as stop:
        code, why = stop.args if isinstance(stop, Verdict) else (COULD_NOT, stop)
        print(f"{WORDS[code]}: {why}", file=sys.stderr)
        return int(code)
    return OK


if __name__ == "__main__":
    sys.exit(main())
