"""What commands print: answers on stdout, remarks on stderr.

Takes plain values; prints them as a table, as CSV or as the one JSON envelope

    {"version": 1, "status": "ok", "data": …, "diagnostics": […]}

and ends the command with the exit code that belongs to the status. Text from reports is made
harmless for a terminal first.
"""

import csv
import io
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NoReturn, TypeVar

import click
import orjson
from rich import box
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])
Pairs = Iterable[tuple[str, str]]

ENVELOPE_VERSION = 1
EXIT_CODES = {"ok": 0, "finding": 1, "misused": 2, "refused": 3, "could_not": 4}
"""By the envelope's status."""
INTERRUPTED = 130
WIDTH = 80
"""Columns where nobody watches: piped output is the same everywhere."""
WORDS = "ledger.words"
"""Under which the context keeps the command line, for `wants_json`."""
SHORT, LEAST, GAP = 27, 10, 3
"""Of tables: widths of the longest moment, and of a column whose text is wrapped; the gap."""

_HARMLESS = frozenset("\n\t")
_HIDDEN = frozenset(("Cc", "Cs", "Zl", "Zp"))
_BIDI = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One remark beside the data: a refusal, a finding, a note."""

    level: str
    message: str
    line: int | None = None
    field: str | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f"line {self.line}: "
        field = f"{self.field}: " if self.field else ""
        note = "note: " if self.level == "note" else ""
        return f"{line}{note}{field}{self.message}"


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Return the decorator that adds `--format`; the first format is the default."""
    return click.option(
        "--format",
        "format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print it.",
    )


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether the command line asks for `--format json`, wherever on it.

    Read from the words themselves: what is wrong on the line may stand before the format.
    """
    asked = ""
    for word, following in pairwise([*arguments, ""]):
        if word == "--format":
            asked = following
        elif word.startswith("--format="):
            asked = word.removeprefix("--format=")
    return asked == "json"


def examples(*lines: str) -> str:
    """Return the epilog of a help page that shows the lines as they are typed."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def many(number: int, what: str) -> str:
    """Return a number of things in words, as `1 event` and `2,000 events`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def say(text: str) -> None:
    """Print one remark on stderr."""
    click.echo(clean(text), err=True)


def print_json(data: Any, status: str = "ok", diagnostics: Iterable[Diagnostic] = ()) -> None:
    """Print the envelope on stdout: UTF-8, keys always in the same order."""
    envelope = {
        "version": ENVELOPE_VERSION,
        "status": status,
        "data": data,
        "diagnostics": [
            {**asdict(remark), "message": clean(remark.message)} for remark in diagnostics
        ],
    }
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    text = orjson.dumps(envelope, default=_listed, option=option)
    print_bytes(text)


def _listed(value: object) -> list[object]:
    """Return the members of what is put together when somebody looks at it."""
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


def print_bytes(raw: bytes) -> None:
    """Print the bytes on stdout exactly as they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a header and the rows as CSV (RFC 4180, with line feeds); None is an empty cell."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[str] = ()
) -> None:
    """Print a table with a line under its header, or say that it has no rows.

    Columns named in `numbers` stand to the right. Where there is room, text is wrapped at blanks
    only, so that no number, moment or name is broken.
    """
    there = [[clean(cell) for cell in row] for row in rows]
    if not there:
        print_text("No rows.")
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    whole = _whole(columns, there)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left",
                         overflow="fold", no_wrap=column in whole)
    for row in there:
        table.add_row(*map(Text, row))
    _print(table)


def _whole(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> set[str]:
    """Return the columns of short words without blanks; none where the rest had no room then."""
    widths = {}
    for column, cells in zip(columns, zip(*rows, strict=True), strict=True):
        width = max(map(cell_len, cells))
        if " " not in "".join(cells) and width <= SHORT and (
            " " not in column or cell_len(column) <= width
        ):
            widths[column] = max(width, cell_len(column))
    others = LEAST * (len(columns) - len(widths))
    fit = sum(widths.values()) + others + GAP * (len(columns) - 1) <= _space()
    return set(widths) if fit else set()


def fits(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a table of these fits the terminal without breaking words."""
    if not rows:
        return True  # a line says so instead
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    return sum(widths) + GAP * (len(widths) - 1) <= _space()


def _space() -> int:
    """Return how many columns there are to print on."""
    return Console(file=sys.stdout).width if watched(sys.stdout) else WIDTH


def print_pairs(pairs: Pairs) -> None:
    """Print labels and what belongs to them in two columns; long text stays in its column."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, text in pairs:
        grid.add_row(Text(clean(label)), Text(clean(text), overflow="fold"))
    _print(grid)


def print_text(text: str = "", *, style: str = "", indent: int = 0) -> None:
    """Print a paragraph, wrapped to the terminal and indented by some columns."""
    _print(Padding(Text(clean(text), style=style, overflow="fold"), (0, 0, 0, indent)))


def finish(status: str) -> NoReturn:
    """End the command with the exit code of the status."""
    raise click.exceptions.Exit(EXIT_CODES[status])


def clean(text: str) -> str:
    """Return the text without what could move the cursor or turn the reading direction.

    Reports hold other people's text: an escape sequence or a bidirectional override in it could
    make one thing look like another.
    """
    if text.isprintable():
        return text
    return "".join(character if _is_harmless(character) else _spelled(character)
                   for character in text)


def watched(stream: Any) -> bool:
    """Return whether a terminal shows the stream."""
    return bool(stream.isatty())


def _print(what: RenderableType) -> None:
    """Print to a terminal in its width; elsewhere 80 columns, plain, without trailing spaces."""
    if watched(sys.stdout):
        Console(file=sys.stdout, highlight=False).print(what)
        return
    page = io.StringIO()
    Console(file=page, width=WIDTH, highlight=False, color_system=None).print(what)
    for line in page.getvalue().splitlines():
        print(line.rstrip())


def _is_harmless(character: str) -> bool:
    if character in _HARMLESS:
        return True
    return unicodedata.category(character) not in _HIDDEN and character not in _BIDI


def _spelled(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
