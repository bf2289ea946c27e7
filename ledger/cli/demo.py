"""`ledger demo`: the whole way once, on the shipped examples, told in a few tables."""

import io
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import click
import sqlalchemy as sa

from ledger.answers.answer import Answer
from ledger.answers.releases import releases
from ledger.book import now, open_ledger, writer
from ledger.bounds.bounding import bound
from ledger.cli.answer import print_answer, print_numbers
from ledger.cli.output import WIDTH, examples, print_table, print_text
from ledger.cli.render import quantity
from ledger.developments import Report
from ledger.errors import CouldNot
from ledger.events import Data
from ledger.examples import shipped
from ledger.intake.reading import read_reports
from ledger.intake.recording import record
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import claim, party_code
from ledger.rebuild import rebuild_all
from ledger.store.connect import reading
from ledger.store.read import read_head, read_position

STATE, SINCE = "Belarus", "2025-11-01"
RECORDER = "demo"


@click.command(epilog=examples("ledger demo", "ledger demo --keep demo.db"))
@click.option("--keep", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
              help="A new file for the demo's ledger; without it ledger-demo.db is written anew.")
def demo(keep: Path | None) -> None:
    """Record one article and then the wider record around it; show how the answer changes.

    Under each table stands the command that prints it from the ledger that the demo leaves.
    """
    if keep is not None and keep.exists():
        raise CouldNot(f"make {keep}", "there is a file already")
    file = keep or _usual_file()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "demo.db"
        engine = open_ledger(str(made), create=True)
        _tell(engine, f"{_how_to_call()} --db {shlex.quote(str(file))}")
        engine.dispose()  # the last connection closed: all is in the one file
        shutil.copyfile(made, file)


def _tell(engine: sa.Engine, ledger: str) -> None:
    """Tell the story; `ledger` is what to type before a command that asks the kept ledger."""
    asked = f"answer releases --state {STATE} --since {SINCE}"
    _print_title("1. One article says")
    size = _take_in(engine, "article")
    print_answer(_since_november(engine))
    print_text()
    _print_command(ledger, f"{asked} --as-of {size}")
    print_text()
    _print_title("2. With 67 further claims, in 39 reports: one may state several numbers")
    _take_in(engine, "wider")
    wider = _since_november(engine)
    print_numbers(wider)
    print_text()
    _print_command(ledger, asked)
    print_text()
    _print_title("3. Who contradicts whom")
    with reading(engine) as connection:
        for dispute in wider.disputes:
            _print_dispute(connection, dispute["development"], dispute["positions"])
            print_text()
            _print_command(ledger, f"history {dispute['development']}")
            print_text()
    _print_title("Try next")
    _print_command(ledger, f"explain releases --state {STATE} --since {SINCE}")
    _print_command(ledger, f"answer releases --by day --state {STATE}")


def _print_title(text: str) -> None:
    print_text(text, style="bold")
    print_text()


def _print_command(ledger: str, question: str) -> None:
    """Print what to type; on two lines, as a shell takes them, where it is wider than a page."""
    text = f"$ {ledger} {question}"
    click.echo(text if len(text) <= WIDTH else f"$ {ledger} \\\n    {question}")


def _take_in(engine: sa.Engine, name: str) -> int:
    """Record a shipped example, fold the answers anew, say what the log holds; return its size."""
    outcome = record(engine, read_reports(io.BytesIO(shipped.example(name))), writer(RECORDER))
    assert not outcome.refusals, f"the shipped example {name} is refused: {outcome.refusals}"
    rebuild_all(engine, PROJECTIONS, now)
    with reading(engine) as connection:
        head = read_head(connection)
    print_text(
        f"{len(outcome.recorded)} reports recorded; the log holds {head.size} events "
        f"and commits to {head.root.hex()[:16]}…"
    )
    print_text(f"Freed by {STATE} since {SINCE}, by citizenship:")
    print_text()
    return head.size


def _since_november(engine: sa.Engine) -> Answer:
    with reading(engine) as connection:
        return releases(connection, by="citizenship", state=STATE, since=SINCE)


def _print_dispute(connection: sa.Connection, development: str, positions: list[int]) -> None:
    """Print each report that disagrees: what it says, and with which of the others."""
    events = [read_position(connection, position) for position in positions]
    reports = [Report(event.position, event.type, event.data) for event in events]
    print_text(f"{development}, at these positions of the log:")
    print_text()
    print_table(
        ("position", "published by", "says that freed were", "contradicts"),
        [
            (
                str(one.position),
                _who(one.data),
                _how_many(one.data),
                ", ".join(str(other.position) for other in reports if _contradict(one, other)),
            )
            for one in reports
        ],
    )


def _contradict(one: Report, other: Report) -> bool:
    """Return whether two reports cannot both hold."""
    state = party_code(one.data["by"])
    return one is not other and bound([claim(one), claim(other)], state).disputed


def _who(data: Data) -> str:
    """Return who published a report, and who said so."""
    provenance = data["provenance"]
    said = provenance.get("attributed_to")
    return f"{provenance['publisher']}, quoting {said}" if said else str(provenance["publisher"])


def _how_many(data: Data) -> str:
    """Return the total and the citizenships in short: those of one number together."""
    total = quantity(data["total"])
    counts: dict[str, list[str]] = {}
    for line in data["citizenships"]:
        words = quantity({**line["count"], "said": None})
        counts.setdefault(words, []).append(line["citizenship"]["code"])
    said = [] if data["total"]["relation"] == "unstated" else [f"{total} in all"]
    for words, codes in counts.items():
        said.append(f"{' '.join(codes)}: {words}{' each' if len(codes) > 1 else ''}")
    return "; ".join(said)


def _usual_file() -> Path:
    """Return where an earlier demo's ledger is replaced; a new folder if not allowed here."""
    here = Path("ledger-demo.db")
    if os.access(here if here.exists() else here.parent, os.W_OK):
        return here
    return Path(tempfile.mkdtemp(prefix="ledger-demo-")) / here


def _how_to_call() -> str:
    """Return what to type for `ledger`: its name, or its path where the shell would not find it."""
    if shutil.which("ledger"):
        return "ledger"
    called, here = Path(sys.argv[0]), Path.cwd()
    if called.name == "__main__.py":
        return "python -m ledger"
    return str(called.relative_to(here) if called.is_relative_to(here) else called)
