"""`ledger demo`: the whole way once, on the shipped examples, told in a few tables."""

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click
import sqlalchemy as sa

from ledger.answers.answer import Answer
from ledger.answers.releases import releases
from ledger.book import now, open_ledger, writer
from ledger.cli.answer import print_answer, print_numbers
from ledger.cli.output import examples, print_pairs, print_text
from ledger.errors import CouldNot
from ledger.examples import shipped
from ledger.intake.reading import read_reports
from ledger.intake.recording import record
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild_all
from ledger.store.connect import reading
from ledger.store.read import Selection, read_events, read_head

SINCE, UNTIL = "2025-11-01", "2025-12-31"
RECORDER = "demo"


@click.command(epilog=examples("ledger demo", "ledger demo --keep demo.db"))
@click.option("--keep", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="Keep the demo's ledger in this new file.  [default: ledger-demo.db]")
def demo(keep: Path | None) -> None:
    """Record one article and then the wider record around it; show how the answer changes."""
    if keep is not None and keep.exists():
        raise CouldNot(f"make {keep}", "there is a file already")
    file = keep or _usual_file()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "demo.db"
        engine = open_ledger(str(made), create=True)
        _tell(engine)
        engine.dispose()  # the last connection closed: all is in the one file
        shutil.copyfile(made, file)
    _what_next(file)


def _tell(engine: sa.Engine) -> None:
    print_text("1. One article says", style="bold")
    print_text()
    _take_in(engine, "article")
    print_answer(_since_november(engine))
    print_text()
    print_text("2. With everything else that was reported", style="bold")
    print_text()
    _take_in(engine, "wider")
    wider = _since_november(engine)
    print_numbers(wider)
    print_text()
    print_text("3. Who contradicts whom", style="bold")
    print_text()
    _print_disputes(engine, wider)


def _take_in(engine: sa.Engine, name: str) -> None:
    """Record a shipped example, fold the answers anew, and say what the log holds."""
    outcome = record(engine, read_reports(io.BytesIO(shipped.example(name))), writer(RECORDER))
    assert not outcome.refusals, f"the shipped example {name} is refused: {outcome.refusals}"
    rebuild_all(engine, PROJECTIONS, now)
    with reading(engine) as connection:
        head = read_head(connection)
    print_text(
        f"{len(outcome.recorded)} reports recorded; the log holds {head.size} events "
        f"and commits to {head.root.hex()[:16]}…"
    )
    print_text(f"Freed by Belarus, {SINCE} to {UNTIL}, by citizenship:")
    print_text()


def _since_november(engine: sa.Engine) -> Answer:
    with reading(engine) as connection:
        return releases(
            connection, by="citizenship", state="BY", since=SINCE, until=UNTIL
        )


def _print_disputes(engine: sa.Engine, answer: Answer) -> None:
    with reading(engine) as connection:
        for dispute in answer.disputes:
            print_text(f"{dispute['development']}:")
            print_pairs(
                (f"  {position}", _who(connection, position)) for position in dispute["positions"]
            )


def _who(connection: sa.Connection, position: int) -> str:
    """Return who published the report at a position, and who said so."""
    (event,) = read_events(connection, Selection(after=position - 1, up_to=position))
    provenance = event.data["provenance"]
    said = provenance.get("attributed_to")
    return f"{provenance['publisher']}, quoting {said}" if said else str(provenance["publisher"])


def _usual_file() -> Path:
    """Return where an earlier demo's ledger is replaced; a new folder if not allowed here."""
    here = Path("ledger-demo.db")
    if os.access(here if here.exists() else here.parent, os.W_OK):
        return here
    return Path(tempfile.mkdtemp(prefix="ledger-demo-")) / here


def _what_next(file: Path) -> None:
    print_text()
    print_text("Try next:", style="bold")
    ledger = _how_to_call()
    click.echo(f"  {ledger} --db {file} history by-release-2025-12-13")
    click.echo(f"  {ledger} --db {file} answer releases --by day --state Belarus")


def _how_to_call() -> str:
    """Return what to type for `ledger`: its name, or its path where the shell would not find it."""
    if shutil.which("ledger"):
        return "ledger"
    called, here = Path(sys.argv[0]), Path.cwd()
    if called.name == "__main__.py":
        return "python -m ledger"
    return str(called.relative_to(here) if called.is_relative_to(here) else called)
