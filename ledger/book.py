"""The ledger from Python: `book = ledger.connect(url)`.

Takes what an analyst's script has (files, mappings, questions); hands on outcomes and answers. This
is where the clock, ids and salts come from; the rooms below are given them.
"""

import os
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ledger.answers.answer import Answer
from ledger.answers.asking import ask, in_one_state
from ledger.answers.explaining import Explanation, explain_releases
from ledger.answers.registry import QUESTIONS, Question
from ledger.errors import BadFile, BadValue, CouldNot, NotRecorded
from ledger.intake.reading import Draft, Drafts, read_reports
from ledger.intake.recording import Outcome, Writer, record
from ledger.kinds.fields import WHO
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild_all
from ledger.run import Run
from ledger.store.connect import Connectable, file_of, place_of, reading
from ledger.store.connect import connect as engine_of
from ledger.store.migrate import HEAD, revision_of, upgrade


def now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


_IDS_AT_ONCE = 128
_TAIL = re.compile("(...)(.)(...)(.{12})")
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
_tails: list[str] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_tails.clear)  # else parent and child would share them


def new_id() -> str:
    """Return a fresh UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds, 74 random bits.

    0.3 microseconds: what is random is drawn for many at once.
    """
    head = _head(time.time_ns() // 1_000_000)
    while True:
        try:
            return head + _tails.pop()
        except IndexError:
            _tails.extend(_drawn_tails())


def _drawn_tails() -> list[str]:
    """Return what follows the time in an id, for many ids: each takes 19 random digits."""
    digits = os.urandom(19 * _IDS_AT_ONCE // 2).hex()
    return [f"7{a}-{_VARIANT[v]}{b}-{c}" for a, v, b, c in _TAIL.findall(digits)]


@lru_cache(maxsize=1)
def _head(milliseconds: int) -> str:
    digits = f"{milliseconds:012x}"
    return f"{digits[:8]}-{digits[8:]}-"


def new_salt() -> bytes:
    """Return 128 fresh random bits (RFC 9901, section 9.3)."""
    return secrets.token_bytes(16)


def workers() -> int:
    """Return how many processes may fold at once: one a processor, three at most.

    Beyond that the one that writes is what they wait for, and each needs some 70 MiB.
    """
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(3, free or 1)


def writer(name: str) -> Writer:
    """Return a writer of that name with the real clock, fresh ids and fresh salts.

    Raises BadValue for what is no name: it stands in every entry, for ever.
    """
    return Writer(WHO.read(name), now, new_id, new_salt)


def open_ledger(url: str, *, create: bool = False) -> sa.Engine:
    """Return the engine of a ledger that is there and at this version's revision.

    With `create`, a SQLite ledger that is not there yet is made. Raises CouldNot.
    """
    engine = engine_of(url)
    file = file_of(engine)
    if file is not None and create and (not file.exists() or file.stat().st_size == 0):
        upgrade(engine)
        return engine
    place = place_of(engine)
    if file is not None and not file.exists():
        raise CouldNot(f"open {place}", "there is no ledger there; `ledger init` makes one")
    with reading(engine) as connection:
        revision = revision_of(connection)
    if revision == HEAD:
        return engine
    engine.dispose()
    if revision is None:
        raise CouldNot(f"open {place}", "there is no ledger there; `ledger init` makes one")
    why = f"it is at revision {revision}, wanted {HEAD}; `ledger init` upgrades an older one"
    raise CouldNot(f"open {place}", why)


class Book:
    """One ledger, for scripts."""

    def __init__(self, database: Connectable) -> None:
        self.engine = database.engine
        self.answers = Answers(database)
        self._database = database

    @contextmanager
    def connected(self) -> Iterator["Book"]:
        """Keep one connection for many small calls, such as reports recorded one by one.

        Yields the same ledger as a Book of one thread. Each call is a transaction as before, and
        what `record` returns is on disk; only the way there is shorter.
        """
        with self.engine.connect() as connection:
            yield Book(connection)

    def record(
        self,
        reports: str | Path | Iterable[Mapping[str, Any]],
        *,
        by: str,
        keep_going: bool = False,
        dry_run: bool = False,
    ) -> Outcome:
        """Record a file of reports (NDJSON or YAML), or reports as mappings; return the outcome.

        All or none: raises NotRecorded where any is refused, also in a dry run. Only with
        `keep_going` are the others recorded, and the refused ones stand in `outcome.refusals`. A
        refusal names the line of a file; of mappings, which of them it is. Raises BadFile.
        """
        if isinstance(reports, str | Path):
            with _opened(Path(reports)) as file:
                return self._recorded(read_reports(file), by, keep_going, dry_run)
        if isinstance(reports, Mapping):
            reports = [reports]
        drafts = (Draft(number, dict(fields)) for number, fields in enumerate(reports, start=1))
        return self._recorded(drafts, by, keep_going, dry_run)

    def _recorded(self, drafts: Drafts, by: str, keep_going: bool, dry_run: bool) -> Outcome:
        outcome = record(
            self._database, drafts, writer(by), keep_going=keep_going, dry_run=dry_run
        )
        if outcome.refusals and not keep_going:
            raise NotRecorded(outcome.seen, outcome.refusals)
        return outcome

    def explain_releases(self, **question: Any) -> Explanation:
        """Return what each release adds to a number of `answers.releases`, and by which reports.

        The parameters, and what is raised, are those of `ledger.answers.explaining`; with a `limit`
        it is a page, which says what the releases before and after it add.
        """
        return in_one_state(self._database, partial(explain_releases, **question))

    def catch_up(self) -> list[Run]:
        """Take what was recorded since the last time into every projection; return what was done.

        Costs what the changed streams hold. Raises CouldNot where another process is at it.
        """
        return [catch_up(self.engine, projection, now) for projection in PROJECTIONS]

    def rebuild(self, *, anew: bool = False) -> list[Run]:
        """Compare every answer table with all events, mend it, and return what was done.

        What was folded before by this code is folded once more only if `anew`.
        """
        return rebuild_all(self.engine, PROJECTIONS, now, anew=anew, workers=workers())


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as failure:
        raise BadFile(f"{path}: {failure.strerror}") from None
    with file:
        yield file


class Answers:
    """The questions that can be asked, each as a method: `answers.releases(by="citizenship")`.

    The parameters are those of the functions in `ledger.answers`; each call is one transaction. An
    answer says how many events it is `behind`; `Book.catch_up` takes them in.
    """

    def __init__(self, database: Connectable) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Callable[..., Answer]:
        for question in QUESTIONS:
            if question.name == name:
                return partial(self._ask, question)
        raise AttributeError(name)

    def __dir__(self) -> list[str]:
        return [question.name for question in QUESTIONS]

    def _ask(self, question: Question, **parameters: Any) -> Answer:
        for name, value in parameters.items():
            if name != "as_of" and not isinstance(value, str | None):
                raise BadValue(value, f"a text, as {name}")
        return in_one_state(self._database, partial(ask, question=question, **parameters))


def connect(url: str | Path = "ledger.db", *, create: bool = False) -> Book:
    """Return the ledger at a database URL or SQLite path; raises CouldNot where there is none."""
    try:
        return Book(open_ledger(str(url), create=create))
    except DBAPIError as failure:
        raise CouldNot(f"open {place_of(engine_of(str(url)))}", str(failure.orig)) from None
