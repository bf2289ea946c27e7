"""`ledger audit verify`.

Takes a ledger, signed heads and a verifier key; prints the verdict, the findings and what was not
covered, and exits with the verdict's code.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click
import sqlalchemy as sa
from sqlalchemy import exc

from ledger.audit.against import Against, from_files, from_store, is_database
from ledger.audit.entries import span
from ledger.audit.findings import Findings, Rule, Verdict
from ledger.audit.heads import open_heads
from ledger.audit.verifying import Verification, verify
from ledger.book import now
from ledger.cli.audit.options import HEADS_VARIABLE, heads_of, read_key
from ledger.cli.look import LAST_POSITION
from ledger.cli.output import (
    Diagnostic,
    examples,
    format_option,
    many,
    print_json,
    print_table,
    print_text,
)
from ledger.cli.progress import progress
from ledger.cli.start import database_option, open_to_read
from ledger.errors import BadFile, BadValue, CouldNot, LedgerError, shown
from ledger.projections.answer_tables import AnswerTables
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild
from ledger.store.audit_read import read_ends
from ledger.store.checkpoints import read_checkpoint
from ledger.store.connect import connect, place_of, reading
from ledger.tlog.note import VerifierKey

STATUS = {Verdict.OK: "ok", Verdict.COULD_NOT: "could_not"}
"""The envelope's status; every other verdict is a finding."""
SHOWN = 20
"""Findings that the table shows."""
PASSED_OVER = 5
"""Files that are no heads, of which the names are shown."""


@click.command("verify", short_help="Prove that nothing recorded was changed.", epilog=examples(
    "ledger audit verify --vkey incidents.vkey",
    "ledger audit verify --vkey incidents.vkey --against /mnt/audit --projections",
    "ledger audit verify --vkey incidents.vkey --since-head",
))
@click.option("--from", "first", metavar="P", type=click.IntRange(1, LAST_POSITION),
              help="Hash events from this position on; before it, trust heads and leaf hashes.")
@click.option("--to", metavar="P", type=click.IntRange(1, LAST_POSITION),
              help="The last position to verify.")
@click.option("--since-head", is_flag=True, help="Verify what is newer than the last signed head.")
@click.option("--against", metavar="HEADS", multiple=True,
              help="Signed heads: a head store, a note, or a folder of notes. Repeatable. The"
              f" ledger's own head store, {HEADS_VARIABLE} or <ledger file>.heads, is always read.")
@click.option("--vkey", metavar="KEY|FILE", help="The verifier key that the heads are signed with.")
@click.option("--deep", is_flag=True,
              help="Parse every entry; else only those that no signed head covers.")
@click.option("--projections", is_flag=True, help="Also fold the answer tables anew and compare.")
@format_option("table", "json")
@database_option
def verify_(
    database: str,
    first: int | None,
    to: int | None,
    since_head: bool,
    against: tuple[str, ...],
    vkey: str | None,
    deep: bool,
    projections: bool,
    format: str,
) -> None:
    """Read and hash the history again, and compare it with every head that was signed.

    Every entry, every column, every stream, every sealed field. Heads are read with --vkey, and one
    must be found; without it only the ledger's own tree head is compared, which whoever can change
    the ledger can change.

    \b
    Exit codes: 0 ok, 1 tampered, 2 misused, 4 could not verify, 5 fork.
    """
    if since_head and (first is not None or vkey is None):
        raise click.UsageError("--since-head needs --vkey and goes without --from")
    if not all(against):
        raise click.UsageError("--against needs a head store, a note or a folder, got nothing")
    if against and vkey is None:
        raise click.UsageError("--against needs --vkey: a head is worth its signature only")
    engine = open_to_read(database)
    found = Findings()
    key = None if vkey is None else _key(vkey)
    heads, without = ([], []) if key is None else _heads(database, against, key, found)
    if since_head:
        first = 1 + max((h.size for h in heads if h.frontier is not None), default=0)
    with progress("verify") as show, _usage():
        done = verify(
            engine, from_position=first or 1, to=to, against=heads, findings=found, deep=deep,
            workers=os.cpu_count() or 1, on_progress=show,
        )
    tables = _check_projections(engine, done) if projections and done.failure is None else None
    if key is not None and without and done.failure is None:
        done.failure = f"no head that {key.name} signed with this key is in {', '.join(without)}"
    deep_on_server = deep and engine.dialect.name != "sqlite"
    uncovered = list(_not_covered(done, heads, to, tables, deep_on_server))
    _report(done, uncovered, len(heads), format)


@contextmanager
def _usage() -> Iterator[None]:
    """Say of positions that are no part of the log that they are a misuse."""
    try:
        yield
    except BadValue as refusal:
        raise click.UsageError(str(refusal)) from None


def _key(given: str) -> VerifierKey:
    """Return the key; one that is none says nothing about the ledger, so it could not be done."""
    try:
        return read_key(given)
    except (BadFile, BadValue) as refusal:
        raise CouldNot("read the verifier key", str(refusal)) from None


def _heads(
    database: str, given: Sequence[str], key: VerifierKey, found: Findings
) -> tuple[list[Against], list[str]]:
    """Return the signed heads in every place, and the places that should have one and have none."""
    heads, without = [], []
    for place, needed in _places(database, given):
        try:
            here = list(_heads_in(place, key, found, named=place in given))
        except CouldNot as refusal:
            if needed:
                raise
            found.passed_over.append(str(refusal))
            continue
        heads += here
        if needed and not here:
            without.append(place_of(connect(place)) if "://" in place else place)
    return heads, without


def _places(database: str, given: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield where heads may be, and whether one must be there.

    One must be wherever somebody said so. The head store beside the ledger is looked at in any
    case: a head that was signed and not yet published is in there alone.
    """
    yield from ((place, True) for place in given)
    try:
        own = heads_of(database, None)
    except CouldNot:
        if not given:
            raise
        return
    if not any(Path(own).resolve() == Path(place).resolve() for place in given):
        yield own, not given or HEADS_VARIABLE in os.environ


def _heads_in(
    place: str, key: VerifierKey, found: Findings, *, named: bool
) -> Iterator[Against]:
    path = Path(place)
    if path.is_dir() or (path.is_file() and not is_database(path)):
        yield from from_files(path, key, found)
        return
    if named and "://" not in place and not path.exists():
        raise CouldNot(f"read signed heads in {place}", "it is not there")
    store = open_heads(place)
    click.get_current_context().call_on_close(store.close)
    yield from from_store(store, key, found)


def _check_projections(engine: sa.Engine, done: Verification) -> list[str]:
    """Fold every projection that was ever built and compare; return what that does not cover."""
    unbuilt, behind = [], []
    for projection in PROJECTIONS:
        with reading(engine) as connection:
            checkpoint = read_checkpoint(connection, projection.name, projection.version)
            _, last = read_ends(connection)
            is_there = AnswerTables(projection).exist(connection)
        if checkpoint is None and is_there:
            done.failure = done.failure or (
                f"{projection.name} has tables of another version, or without a checkpoint;"
                f" `ledger projections rebuild {projection.name}` builds them anew")
            continue
        if checkpoint is None:
            unbuilt.append(projection.name)
            continue
        if type(checkpoint.position) is not int or not 0 <= checkpoint.position <= last:
            why = (f"{projection.name} says that it is at position {shown(checkpoint.position)} of"
                   f" {last:,}; `ledger projections rebuild {projection.name}` mends it")
            done.findings.add(None, Rule.PROJECTION, why)
            continue
        try:
            me = f"process {os.getpid()}"
            run = rebuild(engine, projection, now, holder=me, check=True, anew=True)
        except (LedgerError, exc.DBAPIError, OSError) as refusal:
            done.failure = f"{projection.name} could not be compared: {_cause(refusal)}"
            continue
        except (TypeError, ValueError) as failure:  # SQLite keeps whatever somebody puts there:
            # rows that cannot even be compared with those that the events give.
            done.findings.add(None, Rule.PROJECTION,
                              f"{projection.name} holds what no event adds up to: {failure}")
            continue
        if checkpoint.position < last:
            behind.append(f"{projection.name} from position {checkpoint.position + 1:,} on")
        if run.stalled_at is not None:  # the entry is as it was recorded: that was verified before
            done.failure = done.failure or (
                f"{run.projection} cannot apply position {run.stalled_at:,}: {run.cause}")
        if run.drift:
            why = (f"{run.projection}: {run.drift:,} rows are not what the events add up to;"
                   f" `ledger projections rebuild {run.projection}` mends them")
            done.findings.add(None, Rule.PROJECTION, why)
    whole = {
        "answer tables that were never built": unbuilt,
        "events that answer tables have not taken in": behind,
    }
    return [f"{what}: {', '.join(which)}" for what, which in whole.items() if which]


def _cause(refusal: Exception) -> str:
    return str(getattr(refusal, "orig", None) or refusal)


def _report(done: Verification, uncovered: list[str], heads: int, format: str) -> NoReturn:
    if format == "json":
        status = STATUS.get(done.verdict, "finding")
        print_json(_as_data(done, heads, uncovered), status, _remarks(done))
    else:
        print_text(_sentence(done), style="bold")
        if done.heads:
            agree = many(done.heads, "signed head")
            print_text(f"Agrees with {agree}, the largest of {done.signed:,} events.")
        if done.findings:
            print_text()
            rows = [("" if f.position is None else f"{f.position:,}", f.rule, f.message)
                    for f in done.found[:SHOWN]]
            print_table(("position", "rule", "finding"), rows, numbers=("position",))
            if done.findings.count > SHOWN:
                print_text(f"and {done.findings.count - SHOWN:,} more findings")
        print_text()
        for line in uncovered:
            print_text(f"Not covered: {line}", style="dim")
    raise click.exceptions.Exit(done.verdict.value)


def _sentence(done: Verification) -> str:
    """Return the verdict in words."""
    place = done.findings.place()
    where = "" if place is None else f" {'at' if place[0] == place[1] else 'within'} {span(*place)}"
    unread = "" if done.failure is None else (
        f" Read up to position {done.size:,}, but {done.failure}.")
    newer = f", {done.newer:,} newer events not yet signed" if done.known and done.newer else ""
    if done.verdict is Verdict.FORK:
        what = "FORK OR ROLLBACK: this is not the history that was signed, or not all of it"
        return f"{what}{where and f'; it begins to differ{where}'}.{unread}"
    if done.verdict is Verdict.TAMPERED:
        return f"TAMPERED{where}: {many(done.findings.count, 'finding')}.{unread}"
    if done.verdict is Verdict.COULD_NOT:
        return f"COULD NOT VERIFY.{unread}"
    if not done.events:
        return "Nothing to verify: no event is recorded, and no signed head says otherwise."
    if not done.known:
        return f"OK to size {done.size:,} by the ledger's own word; nobody outside vouches for it."
    return f"OK to size {done.size:,}{newer}."


def _not_covered(
    done: Verification,
    heads: Sequence[Against],
    to: int | None,
    tables: list[str] | None,
    deep_on_server: bool,
) -> Iterator[str]:
    """Yield what this run says nothing about."""
    if not heads:
        yield ("no signed head was compared, so a history that was replaced whole would pass;"
               " see `ledger audit head`")
    elif done.newer:
        yield f"{done.newer:,} events after the last signed head could have been replaced"
    over = next((head.size for head in heads if head.size > done.size >= done.first), None)
    if over is not None and done.signed < done.size and done.failure is None:
        unreached = span(max(done.signed + 1, done.first), done.size)
        yield f"{unreached}: to compare the signed head over them, verify up to {over:,}"
    if done.first > 1:
        yield f"entries before position {done.first:,} were not hashed again"
    if to is not None and to < done.events:
        yield f"events after position {to:,}"
    yield from ["the answer tables; --projections compares them"] if tables is None else tables
    if deep_on_server:
        yield "the server's indexes: only SQLite is asked to check its own, with --deep"
    passed_over = done.findings.passed_over
    yield from (f"not a head to compare with: {one}" for one in passed_over[:PASSED_OVER])
    if len(passed_over) > PASSED_OVER:
        yield f"{len(passed_over) - PASSED_OVER:,} more that are no heads to compare with"
    yield "whether what was reported is true, and whether all of it was"


def _as_data(done: Verification, heads: int, uncovered: list[str]) -> dict[str, Any]:
    place = done.findings.place()
    return {
        "verdict": done.verdict.word,
        "position": done.position,
        "until": None if place is None else place[1],
        "first": done.first,
        "size": done.size,
        "events": done.events,
        "heads": heads,
        "heads_matched": done.heads,
        "signed_size": done.signed,
        "not_yet_signed": done.newer,
        "count": done.findings.count,
        "rules": done.findings.counts,
        "findings": [finding._asdict() for finding in done.found],
        "failure": done.failure,
        "not_covered": uncovered,
    }


def _remarks(done: Verification) -> list[Diagnostic]:
    level = "note" if done.verdict is Verdict.OK else "finding"
    return [Diagnostic(level, _sentence(done))]


COMMANDS: tuple[click.Command, ...] = (verify_,)
