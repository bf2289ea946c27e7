"""Recording from the command line: `record`.

Takes a file of reports or stdin; prints what became of each, and writes the refused ones to a file
where the good ones were recorded without them.
"""

import getpass
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ledger.book import writer
from ledger.cli.output import (
    INTERRUPTED,
    WIDTH,
    WORDS,
    Diagnostic,
    examples,
    finish,
    format_option,
    print_json,
    print_table,
    say,
    wants_json,
    watched,
)
from ledger.cli.start import database_option, open_to_record, open_to_try
from ledger.cli.templates import kinds_to_write, refused_as_yaml, template
from ledger.errors import BadFile, BadValue, CouldNot, LedgerError, shown
from ledger.intake import recording
from ledger.intake.reading import read_reports
from ledger.intake.recording import OnProgress, Outcome, Refusal, Remark
from ledger.kinds.fields import WHO
from ledger.kinds.registry import kind_named
from ledger.store.connect import reading
from ledger.store.read import with_ids

IN_MEMORY = 8 * 2**20
"""Bytes of piped reports that are kept in memory; more go to a temporary file."""
PROGRESS_FROM = 2**20
"""Bytes from which a progress bar is worth it: about 2,000 reports."""
COMPLAINTS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class How:
    """How the user wants a file recorded."""

    file: str
    keep_going: bool
    dry_run: bool


def _print_template(context: click.Context, _: click.Parameter, name: str | None) -> None:
    """Print the form of a kind, or which kinds there are, and end the command."""
    if name is None or context.resilient_parsing:
        return
    kinds = kinds_to_write()
    if name.casefold() == "list":
        if wants_json(context.meta[WORDS]):
            print_json([{"kind": kind.type, "meaning": kind.meaning} for kind in kinds])
        else:
            print_table(("kind", "what it reports"), [(kind.type, kind.meaning) for kind in kinds])
        context.exit()
    try:
        kind = kind_named(name)
    except BadValue:
        kind = None
    if kind not in kinds:
        formatter = click.HelpFormatter(width=WIDTH)
        formatter.write_dl([(kind.type, kind.meaning) for kind in kinds])
        raise click.UsageError(
            f"there is no kind {shown(name, 20)} to write. The kinds are:\n{formatter.getvalue()}"
        )
    click.echo(template(kind), nl=False)
    context.exit()


def recorder(context: click.Context, _: click.Parameter, given: str | None) -> str:
    """Return who records: the option, the variable, or the login name."""
    try:
        return WHO.read(getpass.getuser() if given is None else given)
    except BadValue as refusal:
        raise click.BadParameter(str(refusal)) from None
    except (OSError, KeyError):  # a user without a name, as in a container
        return "unknown"


@click.command(short_help="Record a file of reports.", epilog=examples(
    "ledger record --template PrisonersReleased > release.yaml",
    "ledger record release.yaml --dry-run",
    "ledger record release.yaml",
    "cat *.ndjson | ledger record - --keep-going",
))
@click.argument("file", metavar="FILE|-")
@click.option("--template", metavar="KIND", is_eager=True, expose_value=False,
              callback=_print_template,
              help="Print a form of that kind to fill in, and exit; `list` names the kinds.")
@click.option("--input", "form", type=click.Choice(("ndjson", "yaml")),
              help="What FILE is, where its first byte does not tell.")
@click.option("--dry-run", is_flag=True, help="Check everything, record nothing.")
@click.option("--keep-going", is_flag=True,
              help="Record the good reports where others are refused; by default all or none.")
@click.option("--refused", metavar="FILE",
              help="Where --keep-going writes the refused reports; by default beside FILE.")
@click.option("--by", metavar="NAME", envvar="LEDGER_RECORDER", callback=recorder,
              help="Who records.  [env: LEDGER_RECORDER; default: the login name]")
@format_option("table", "json")
@database_option
def record(
    database: str, file: str, form: str | None, dry_run: bool, keep_going: bool,
    refused: str | None, by: str, format: str,
) -> None:
    """Record the reports of FILE (YAML, or NDJSON with a report a line); - is stdin.

    All of them or none. A report that stands there already, word for word, is not recorded
    again, so recording a file twice is safe. What is refused is named by its line and field.
    """
    if refused is not None and not keep_going:
        raise click.UsageError("--refused goes with --keep-going")
    how = How(file, keep_going, dry_run)
    with _reports(file) as source:
        engine = open_to_try(database) if dry_run else open_to_record(database)
        outcome = _recorded(engine, source, form, by, how)
    written = None
    problem = None
    if outcome.refusals and outcome.written:
        try:
            written = write_refused(outcome.refusals, file, refused)
        except OSError as failure:
            why = f"{failure.filename}: {failure.strerror}"
            problem = CouldNot("write the refused reports", why)
    _print_outcome(outcome, how, format, written, problem)
    finish("could_not" if problem else "refused" if outcome.refusals else "ok")


@contextmanager
def _reports(name: str) -> Iterator[BinaryIO]:
    """Open the reports; what comes through a pipe is read to its end first.

    So nobody waits for the append lock while somebody types.
    """
    if name == "-":
        if watched(sys.stdin):
            say("reading reports (YAML or NDJSON) from the keyboard; Ctrl-D ends them")
        with _spooled(sys.stdin.buffer) as file:
            yield file
        return
    with _opened(name) as file:
        if file.seekable():
            yield file
        else:
            with _spooled(file) as spooled:
                yield spooled


def _opened(name: str) -> BinaryIO:
    try:
        return open(name, "rb")
    except FileNotFoundError:
        raise BadFile(f"{name}: there is no such file") from None
    except IsADirectoryError:
        raise BadFile(f"{name} is a folder, wanted a file of reports") from None
    except (OSError, ValueError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else failure
        raise BadFile(f"{name} cannot be read: {why}") from None


@contextmanager
def _spooled(source: BinaryIO) -> Iterator[BinaryIO]:
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        try:
            shutil.copyfileobj(source, file)
        except KeyboardInterrupt:
            say("stopped; nothing was recorded")
            raise click.exceptions.Exit(INTERRUPTED) from None
        file.seek(0)
        yield cast(BinaryIO, file)


def _recorded(
    engine: sa.Engine, file: BinaryIO, form: str | None, by: str, how: How
) -> Outcome:
    """Record, and say what is in the ledger where that is cut short."""
    so_far = SoFar(chunk_by_chunk=how.keep_going and not how.dry_run)
    try:
        with _progress(file) as show:

            def on_progress(outcome: Outcome) -> None:
                so_far.note(outcome)
                show(outcome)

            return recording.record(
                engine,
                read_reports(file, form),
                writer(by),
                keep_going=how.keep_going,
                dry_run=how.dry_run,
                on_progress=on_progress,
            )
    except KeyboardInterrupt:
        say(f"stopped; {so_far.in_words(engine)}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except (LedgerError, sa.exc.DBAPIError, OSError):
        if so_far.chunk_by_chunk:
            say(f"cut short; {so_far.in_words(engine)}")
        raise


@dataclass(slots=True)
class SoFar:
    """What a run that was cut short has left in the ledger."""

    chunk_by_chunk: bool
    last_id: str | None = None
    before: int = 0
    """Recorded before the last chunk."""
    now: int = 0

    def note(self, outcome: Outcome) -> None:
        """Remember how far it was just before a commit."""
        self.before, self.now = self.now, len(outcome.recorded)
        self.last_id = outcome.recorded[-1].id if outcome.recorded else None

    def in_words(self, engine: sa.Engine) -> str:
        """Say how many reports are in the ledger; looks whether the last commit went through."""
        try:
            committed = self._committed(engine)
        except (LedgerError, sa.exc.DBAPIError):
            return "`ledger status` says how far the ledger goes"
        return f"{_reports_in_words(committed)} recorded" if committed else "nothing was recorded"

    def _committed(self, engine: sa.Engine) -> int:
        if self.last_id is None:
            return 0
        with reading(engine) as connection:
            if with_ids(connection, [self.last_id]):
                return self.now
        return self.before if self.chunk_by_chunk else 0


@contextmanager
def _progress(file: BinaryIO) -> Iterator[OnProgress]:
    """Yield what shows the progress: a bar on stderr where a terminal watches a large file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size < PROGRESS_FROM or not watched(sys.stderr):
        yield lambda outcome: None
        return
    columns = (TextColumn("recording"), BarColumn(), TextColumn("{task.fields[seen]:,} reports"))
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None, seen=0)

        def show(outcome: Outcome) -> None:
            at = file.tell()  # YAML is read in one go: then nobody knows how much is left
            total = size if at < size else None
            bar.update(task, total=total, completed=at, seen=outcome.seen)

        yield show


def _print_outcome(
    outcome: Outcome, how: How, format: str, written: Path | None, problem: CouldNot | None
) -> None:
    refusals = [
        _diagnostic("refused", remark)
        for refusal in outcome.refusals
        for remark in refusal.remarks
    ]
    notes = [_diagnostic("note", remark) for remark in outcome.flags]
    if outcome.superseded:
        notes.append(Diagnostic("note", _superseded(outcome.superseded)))
    for remarks in (refusals, notes):
        for remark in remarks[:COMPLAINTS_SHOWN]:
            say(str(remark))
        if len(remarks) > COMPLAINTS_SHOWN:
            say(f"… and {len(remarks) - COMPLAINTS_SHOWN:,} more")
    if format == "json":
        status = "could_not" if problem else "refused" if refusals else "ok"
        problems = [Diagnostic("could_not", str(problem))] if problem else []
        data = _outcome_as_data(outcome, how, written)
        print_json(data, status, [*problems, *refusals, *notes])
    else:
        click.echo(_outcome_in_words(outcome))
    for text in _what_next(outcome, how, written):
        say(text)
    if problem:
        say(str(problem))


def _diagnostic(level: str, remark: Remark) -> Diagnostic:
    return Diagnostic(level, remark.message, remark.line, remark.field or None)


def _superseded(positions: list[int]) -> str:
    """Return what whoever repeats a decision must know: it is not taken again."""
    several = len(positions) > 1
    stand, do = ("positions", "do") if several else ("position", "does")
    named = ", ".join(map(str, positions[:COMPLAINTS_SHOWN]))
    more = ", …" if len(positions) > COMPLAINTS_SHOWN else ""
    return (
        f"what is recorded already at {stand} {named}{more} was withdrawn, replaced or ranked anew "
        f"since and {do} not count; to decide so again, say it in other words (another reason)"
    )


def _outcome_in_words(outcome: Outcome) -> str:
    """Return the counts: all of them, also where one is 0."""
    seen = "1 report seen" if outcome.seen == 1 else f"{outcome.seen:,} reports seen"
    good = f"{len(outcome.recorded):,} " + (
        f"recorded{_positions(outcome)}" if outcome.written else "would be recorded"
    )
    refused = len(outcome.refusals)
    return f"{seen}: {good}, {outcome.already:,} recorded already, {refused:,} refused"


def _positions(outcome: Outcome) -> str:
    if not outcome.recorded:
        return ""
    first, last = outcome.recorded[0].position, outcome.recorded[-1].position
    if first == last:
        return f" (position {first:,})"
    apart = last - first + 1 > len(outcome.recorded)
    return f" ({'between ' if apart else ''}positions {first:,}–{last:,})"  # noqa: RUF001


def _what_next(outcome: Outcome, how: How, written: Path | None) -> Iterator[str]:
    if how.dry_run:
        yield "dry run: nothing was recorded"
    elif outcome.refusals and not outcome.written:
        hint = " (--keep-going records the good ones)" if outcome.recorded else ""
        yield f"nothing was recorded{hint}"
    if written is not None:
        yield f"the refused ones are in {written}: mend them and record that file"


def _reports_in_words(number: int) -> str:
    return "1 report was" if number == 1 else f"{number:,} reports were"


def _outcome_as_data(outcome: Outcome, how: How, written: Path | None) -> dict[str, Any]:
    """Return the counts and, where they are in the ledger, the new events."""
    receipts = outcome.recorded if outcome.written else []
    names = ("position", "id", "stream", "stream_version")
    return {
        "seen": outcome.seen,
        "good": len(outcome.recorded) + outcome.already,
        "recorded": len(receipts),
        "already": outcome.already,
        "refused": len(outcome.refusals),
        "dry_run": how.dry_run,
        "refused_file": None if written is None else str(written),
        "events": [{name: getattr(receipt, name) for name in names} for receipt in receipts],
    }


def write_refused(refusals: list[Refusal], file: str, chosen: str | None) -> Path:
    """Write the refused reports to a new file, in their own format, and return its path.

    NDJSON keeps the lines as they were; YAML is written anew, with the complaints as comments. A
    file that is there is never written over: the next free name is taken. Raises OSError.
    """
    lines = [refusal.draft.raw for refusal in refusals if refusal.draft.raw is not None]
    if lines:
        suffix, content = ".ndjson", b"".join(line + b"\n" for line in lines)
    else:
        where = "stdin" if file == "-" else Path(file).name
        suffix, content = ".yaml", refused_as_yaml(refusals, where).encode()
    if chosen is not None:
        wanted = Path(chosen)
    elif file == "-":
        wanted = Path("refused" + suffix)
    else:
        wanted = Path(file).with_suffix(".refused" + suffix)
    for number in count(1):
        path = wanted if number == 1 else wanted.with_stem(f"{wanted.stem}-{number}")
        try:
            with path.open("xb") as new:
                new.write(content)
            return path
        except FileExistsError:
            continue
    raise AssertionError("numbers do not end")
