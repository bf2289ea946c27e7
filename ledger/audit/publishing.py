"""Publishing: signed heads go where the ledger's owner cannot take them back.

Takes the head store and a key; hands the latest head to a folder (a mounted share, a git checkout,
a bucket that only grows) or to a command (mail, a witness). What a folder holds is also looked at:
a head there that the store does not know shows that the store is not the one it was.
"""

import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from ledger.audit.heads import Forked, HeadsLost, HeadStore
from ledger.errors import CouldNot
from ledger.store.files import holding, write_whole
from ledger.tlog.head import Head, open_head
from ledger.tlog.note import BadNote, VerifierKey

COMMAND_SECONDS = 600
"""How long a command that publishes may take."""
REMEMBERED = 500
"""The last characters of a command's standard error that are shown."""


class Publication(Protocol):
    """A place where heads are published."""

    def check(self, heads: HeadStore, key: VerifierKey) -> None:
        """Raise HeadsLost or Forked if a head stands there that the store does not know."""

    def publish(self, heads: HeadStore, key: VerifierKey) -> None:
        """Publish the latest head, again if need be. Raises CouldNot, OSError."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder with `checkpoint`, the latest signed note, and each head as `heads/<size>`."""

    path: Path

    def check(self, heads: HeadStore, key: VerifierKey) -> None:
        """Raise HeadsLost or Forked if the checkpoint, or a head after it, is not one that the
        store knows."""
        published = self._published(self.path / "checkpoint", key)
        after = 0
        if published is not None:
            self._check(published, heads, key)
            after = published.size
        for path in self._heads_after(after):
            if (head := self._published(path, key)) is None:
                continue
            if str(head.size) != path.name:
                why = f"its heads/{path.name} is a head of size {head.size:,}"
                raise CouldNot(f"publish in {self.path}", why)
            self._check(head, heads, key)

    def _check(self, published: Head, heads: HeadStore, key: VerifierKey) -> None:
        known = heads.at(key.name, published.size)
        if known is None:
            raise HeadsLost(key.name, published.size, str(self.path))
        if known.root != published.root:
            why = f"the head of size {published.size:,} in {self.path} has another root"
            raise Forked(key.name, why)

    def _heads_after(self, size: int) -> list[Path]:
        each = self.path / "heads"
        names = [path.name for path in each.iterdir()] if each.is_dir() else []
        sizes = sorted(int(name) for name in names if name.isdecimal() and name.isascii())
        return [each / str(one) for one in sizes if one > size]

    def publish(self, heads: HeadStore, key: VerifierKey) -> None:
        """Write every head since the last checkpoint that is not there yet, then the checkpoint.

        One process at a time, and the latest head is asked for inside: it never goes back.
        """
        each = self.path / "heads"
        each.mkdir(parents=True, exist_ok=True)
        with holding(self.path, wait=True):
            published = self._published(self.path / "checkpoint", key)
            after = 0 if published is None else published.size - 1
            note = None
            for known in heads.all(key.name, after):
                note = known.note
                if not (each / str(known.size)).exists():
                    _write(each / str(known.size), note)
            if note is not None:
                _write(self.path / "checkpoint", note)

    def _published(self, path: Path, key: VerifierKey) -> Head | None:
        try:
            return open_head(path.read_bytes(), key)
        except FileNotFoundError:
            return None
        except BadNote as refusal:
            name = path.relative_to(self.path)
            raise CouldNot(f"publish in {self.path}", f"its {name}: {refusal}") from None


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is given the latest signed note on its standard input; no shell reads it."""

    line: str

    def check(self, heads: HeadStore, key: VerifierKey) -> None:
        """Nothing is known of what a command has done before."""

    def publish(self, heads: HeadStore, key: VerifierKey) -> None:
        """Run the command to its end; raises CouldNot unless it ends with 0 in time."""
        known = heads.latest(key.name)
        note = "" if known is None else known.note
        doing = f"run {self.line}"
        with tempfile.TemporaryFile() as errors:
            try:
                code = subprocess.run(
                    shlex.split(self.line), input=note.encode(), stdout=subprocess.DEVNULL,
                    stderr=errors, timeout=COMMAND_SECONDS, check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                why = f"it did not end within {COMMAND_SECONDS} seconds"
                raise CouldNot(doing, why) from None
            except (OSError, ValueError) as failure:
                raise CouldNot(doing, str(failure)) from None
            if code:
                raise CouldNot(doing, f"it ended with {code}: {_end_of(errors)}")


def _end_of(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - REMEMBERED))
    text = file.read().decode("utf-8", "replace").strip()
    return text or "it said nothing"


def _write(path: Path, note: str) -> None:
    """Write a note; the same one that is there already is left alone."""
    raw = note.encode()
    if not path.exists() or path.read_bytes() != raw:
        write_whole(path, raw, path.with_name(f".{path.name}.new"))
