"""The pages under docs/ against the code that they describe.

Every example on them is run, every table that can be generated is generated and compared.
"""

import base64
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, redirect_stdout
from datetime import UTC, datetime
from itertools import count, pairwise
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from recording import answered, record_example, record_text

from ledger import tables
from ledger.answers import releases as answers
from ledger.bounds.bounding import EXACT_UP_TO
from ledger.cli.main import ledger as command_line
from ledger.cli.output import EXIT_CODES, INTERRUPTED
from ledger.entry import ENTRY_LIMIT, FORMAT, canonical, parse
from ledger.examples.shipped import NAMES
from ledger.intake.composing import CATEGORIES, HEADER
from ledger.intake.reading import read_reports
from ledger.intake.recording import Outcome, Writer, record
from ledger.kinds.common import STAGES
from ledger.kinds.fields import CountryField, DayField, Field, ListOf, PartyField, QuantityField
from ledger.kinds.form import Form, Group
from ledger.kinds.keeping import LINKS, SAME_STREAM
from ledger.kinds.registry import KINDS
from ledger.kinds.sealing import digest
from ledger.merkle import EMPTY_ROOT
from ledger.store.connect import connect, reading
from ledger.store.read import read_entry, read_head
from ledger.values.country import read_country
from ledger.values.day import read_day
from ledger.values.quantity import RELATIONS, read_quantity

DOCS = Path(__file__).parents[1] / "docs"
FORMAT_PAGE, RECORDING_PAGE, BOUNDS_PAGE = (
    (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("format", "recording", "bounds")
)
FENCED = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.M | re.S)
TIMES = (
    datetime(2025, 12, 14, 9, 30, 0, 250_000, tzinfo=UTC),
    datetime(2025, 12, 14, 9, 31, 7, 1, tzinfo=UTC),
)


class Block(NamedTuple):
    """A fenced block: its language, the word after it, its text, the table that comes next."""

    language: str
    mark: str
    text: str
    table: list[list[str]]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    found = list(FENCED.finditer(page))
    ends = [match.start() for match in found[1:]] + [len(page)]
    return [
        Block(match[1], match[2] or "", match[3], cells(page[match.end() : end]))
        for match, end in zip(found, ends, strict=True)
    ]


def texts(page: str, language: str) -> list[str]:
    return [block.text for block in blocks(page) if block.language == language]


def cells(text: str) -> list[list[str]]:
    """Return the cells of the first table in the text, its header and rule left out."""
    table = re.search(r"(?:^\|.*\n?)+", text, re.M)
    lines = table[0].splitlines()[2:] if table else []
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def after(page: str, line: str) -> str:
    """Return what stands on a page from a line on: a heading, or the header of a table."""
    assert f"\n{line}\n" in page, f"there is no line {line!r}"
    return page[page.index(f"\n{line}\n") + 1 :]


def plain(cell: str) -> str:
    return cell.strip("`")


def code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def assert_has_table(page: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Fail with the table as it should be, unless the page has it."""
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines).replace(" --- ", "---")
    assert text in page, f"wanted\n{text}"


def refusals(outcome: Outcome) -> list[str]:
    return [str(remark) for refusal in outcome.refusals for remark in refusal.remarks]


@pytest.fixture
def ledger_file(sqlite_database: str) -> Iterator[sa.Engine]:
    """An engine on a fresh ledger in a SQLite file."""
    engine = connect(sqlite_database)
    yield engine
    engine.dispose()


def entries_and_disclosures(engine: sa.Engine) -> tuple[list[bytes], list[str]]:
    with reading(engine) as connection:
        size = read_head(connection).size
        entries = [read_entry(connection, position) for position in range(1, size + 1)]
        column = tables.disclosures.c.disclosure
        return entries, list(connection.scalars(sa.select(column)))


def checked(folder: Path, entries: Sequence[bytes], disclosures: Sequence[str]) -> list[str]:
    """Return the lines that the page's own check prints about entries and disclosures."""
    folder.mkdir()
    for position, entry in enumerate(entries, start=1):
        (folder / f"{position}.json").write_bytes(entry)
    (folder / "disclosures.txt").write_text("\n".join(disclosures), encoding="ascii")
    with chdir(folder), redirect_stdout(io.StringIO()) as output:
        exec(texts(FORMAT_PAGE, "python")[0], {})
    return output.getvalue().splitlines()


def test_worked_example(ledger_file: sa.Engine, tmp_path: Path) -> None:
    """The worked example is recorded as shown, and the page's check prints what it says."""
    numbers, clock = count(), iter(TIMES)
    writer = Writer(
        "analyst-1", lambda: next(clock), str, lambda: bytes(next(numbers) for _ in range(16))
    )
    for text in texts(FORMAT_PAGE, "yaml"):
        outcome = record(ledger_file, read_reports(io.BytesIO(text.encode())), writer)
        assert refusals(outcome) == []

    entries, disclosures = entries_and_disclosures(ledger_file)
    opened, lines, output = (text.splitlines() for text in texts(FORMAT_PAGE, "text"))
    assert [entry.decode() + "\n" for entry in entries] == texts(FORMAT_PAGE, "json")
    assert all(f"of {len(entry):,} bytes" in FORMAT_PAGE for entry in entries)
    assert sorted(disclosures) == sorted(lines)
    assert [base64.urlsafe_b64decode(line + "==").decode() for line in lines] == opened
    named = [json.loads(array)[1] for array in opened]
    assert parse(entries[0])["_sd"] == dict(zip(named, map(digest, lines), strict=True))
    assert checked(tmp_path / "copy", entries, disclosures) == output


def test_check_of_the_page_on_the_shipped_examples(ledger_file: sa.Engine, tmp_path: Path) -> None:
    """The page's check finds the root of the shipped examples; another after one byte changed."""
    for name in NAMES:
        record_example(ledger_file, name)
    entries, disclosures = entries_and_disclosures(ledger_file)
    with reading(ledger_file) as connection:
        root = read_head(connection).root.hex()

    printed = checked(tmp_path / "copy", entries, disclosures)
    entries[7] = entries[7].replace(b"incident-ledger/1", b"incident-ledger/2")
    forged = checked(tmp_path / "forged", entries, disclosures)

    assert len(entries) > 50
    assert printed[-1] == f"root {root}"
    assert sum(line.startswith("  /") for line in printed) == len(disclosures)
    assert forged[-1] != printed[-1]


def test_fields_and_words_of_the_format() -> None:
    """The page has the fields, limit, empty root, words and versions of the code."""
    one_line = " ".join(FORMAT_PAGE.split())
    rows = cells(after(FORMAT_PAGE, "## The entry"))
    versions = cells(after(FORMAT_PAGE, "| type | version | change |"))
    shown = [parse(text.encode()) for text in texts(FORMAT_PAGE, "json")]

    assert {plain(row[0]) for row in rows} == {name for entry in shown for name in entry}
    assert {plain(row[3]) for row in rows} == {FORMAT}
    for words in (f"{ENTRY_LIMIT:,} bytes", EMPTY_ROOT.hex(), code(CATEGORIES), code(RELATIONS)):
        assert words in one_line, words
    assert [(plain(row[0]), int(row[1])) for row in versions] == [
        (kind.type, version)
        for kind in KINDS.values()
        if kind.type_version > 1
        for version in range(1, kind.type_version + 1)
    ]


READERS: dict[str, Field] = {
    "edtf": DayField(""), "code": CountryField(""), "relation": QuantityField(""),
    "country": PartyField(""), "organisation": PartyField(""),
}


@pytest.mark.parametrize("row", cells(after(FORMAT_PAGE, "| value | written | in `data` |")))
def test_values_in_data(row: list[str]) -> None:
    """A value that the page shows is recorded in the shape that it shows."""
    written, shape = plain(row[1]), plain(row[2])
    given: object = int(written) if written.isdigit() else written
    if match := re.fullmatch(r"\{(\w+): (.*)\}", written):
        given = {match[1]: match[2]}

    reader = next(field for name, field in READERS.items() if name in json.loads(shape))
    assert canonical(reader.deserialize(given)).decode() == shape


def sealed_pointers(form: Form, at: str = "") -> Iterator[str]:
    """Yield the pointers to a form's sealed fields, with * for every index of a list."""
    for name, inside in form.sealed.items():
        field = form.parts[name]
        group, star = (field.inner, "/*") if isinstance(field, ListOf) else (field, "")
        if inside and isinstance(group, Group):
            yield from sealed_pointers(group.form, f"{at}/{name}{star}")
        else:
            yield f"{at}/{name}"


def test_sealed_fields() -> None:
    """The table of sealed fields is that of the forms."""
    places = {kind.type: code(list(sealed_pointers(kind.form))) for kind in KINDS.values()}
    rows = [(f"`{type}`", at or "nothing") for type, at in places.items()]
    assert_has_table(FORMAT_PAGE, ("kind", "sealed"), rows)


def test_columns() -> None:
    """The page names the columns of the tables that auditors read, in their order."""
    for table in (tables.events, tables.disclosures, tables.tree_head):
        rows = cells(after(FORMAT_PAGE, f"| `{table.name}` | from |"))
        assert [plain(row[0]) for row in rows] == [column.name for column in table.columns]


def test_examples_are_recorded_or_refused(ledger_file: sa.Engine) -> None:
    """Every example is recorded at the positions it names, refused, or noted in the words below."""
    shown = [b for b in blocks(RECORDING_PAGE) if b.language in ("yaml", "ndjson", "text")]
    counted = {"": 0, "refused": 0, "noted": 0}
    for block, following in pairwise([*shown, Block("text", "", "", [])]):
        if block.language == "text":
            continue
        counted[block.mark] += 1
        outcome = record_text(ledger_file, block.text)
        notes = [str(flag).replace(": ", ": note: ", 1) for flag in outcome.flags]
        wanted = following.text.splitlines() if block.mark else []
        assert [*refusals(outcome), *notes] == wanted
        if stated := re.match(r"# positions? (\d+)(?: to (\d+))?$", block.text, re.M):
            first, last = int(stated[1]), int(stated[2] or stated[1])
            assert [r.position for r in outcome.recorded] == list(range(first, last + 1))
    assert min(counted[""], counted["refused"], counted["noted"] + 5) > 5


def test_console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands on the page print what the page says, one after the other."""
    monkeypatch.chdir(tmp_path)
    for variable in ("LEDGER_DATABASE_URL", "LEDGER_RECORDER"):
        monkeypatch.delenv(variable, raising=False)
    for name, language in {"release.yaml": "yaml", "two.ndjson": "json"}.items():
        Path(name).write_text(texts(RECORDING_PAGE, language)[0], encoding="utf-8")
    consoles = texts(RECORDING_PAGE, "console")

    assert len(consoles) == 3
    assert "".join(map(printed, consoles)) == "".join(consoles)
    assert Path("form.yaml").read_text("utf-8").startswith("# PrisonersReleased")


def printed(console: str) -> str:
    """Return a console block as it comes out when its commands are run."""
    lines, status = [], 0
    for line in console.splitlines():
        if line == "$ echo $?":
            lines += [line, str(status)]
        elif line.startswith("$ ledger "):
            arguments, _, target = line.removeprefix("$ ledger ").partition(" > ")
            result = CliRunner().invoke(command_line, arguments.split())
            status = result.exit_code
            lines += [line, *([] if target else result.output.splitlines())]
            if target:
                Path(target).write_text(result.stdout, encoding="utf-8")
    return "".join(f"{line}\n" for line in lines)


def test_kinds_and_stages() -> None:
    """The tables of kinds and of stages are those of the code, and the words are all named."""
    rows, stages = [], []
    for kind in KINDS.values():
        stream = "its report's" if kind.category == SAME_STREAM else f"`{kind.category}`"
        required = [name for name, field in kind.form.parts.items() if field.required]
        if kind.type == "ReportCorrected":  # the intake fills it in
            required.remove("type_version")
        rows.append((f"`{kind.type}`", kind.meaning, stream, code(required)))
        if stage := kind.form.parts.get("stage"):
            default = "it must be given" if stage.required else f"`{stage.load_default}`"
            stages.append((f"`{kind.type}`", default))

    assert_has_table(RECORDING_PAGE, ("kind", "what it says", "stream", "required"), rows)
    assert_has_table(RECORDING_PAGE, ("kind", "stage, where it is left out"), stages)
    assert all(code(words) in " ".join(RECORDING_PAGE.split()) for words in (STAGES, LINKS))
    assert [kind.type for kind in KINDS.values() if kind.written_by] == ["PersonalDataErased"]


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("| relation | at least | at most |", lambda words: [
            (many := read_quantity(int(words) if words.isdigit() else words)).relation,
            many.low, many.high]),
        ("| from | until |", lambda words: [(day := read_day(words)).earliest, day.latest]),
        ("| code |", lambda words: [read_country(words).code]),
    ],
)
def test_ways_to_write_values(header: str, read: Callable[[str], list[object]]) -> None:
    """Every way to write a value is read as the page says."""
    for row in cells(after(RECORDING_PAGE, f"| you write {header}")):
        for words in row[0].split(", "):
            found = ["" if value is None else str(value) for value in read(plain(words))]
            assert found == row[1:], words


def test_public_fields_are_not_sealed() -> None:
    """No field that the page calls public is sealed in any kind."""
    text = after(RECORDING_PAGE, "## Names of people").split("\n## ")[0]
    public = set(re.findall(r"`([a-z_]+)`", text.partition("Everything else")[2])) - {"name"}
    sealed = {place.split("/")[-1] for k in KINDS.values() for place in sealed_pointers(k.form)}
    assert {"subject", "terms", "url", "locator", "publisher", "role"} <= public
    assert public.isdisjoint(sealed)


def options(command: click.Command) -> Iterator[str]:
    for parameter in command.params:
        yield from parameter.opts
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        yield from options(inner)


def test_options_head_and_exit_codes() -> None:
    """The options, head fields and exit codes on the page are those of the code."""
    shown = set(re.findall(r"(?<=[` ])--[a-z][a-z-]*", RECORDING_PAGE + BOUNDS_PAGE))
    head = [row[0] for row in cells(after(RECORDING_PAGE, "## The head of a report"))]
    codes = {int(row[0]) for row in cells(after(RECORDING_PAGE, "## Exit codes"))}
    assert {"--template", "--keep-going", "--since"} <= shown <= set(options(command_line))
    assert set(re.findall(r"`([a-z_]+)`", " ".join(head))) == {*HEADER, *CATEGORIES}
    assert codes == {*EXIT_CODES.values(), click.UsageError.exit_code, INTERRUPTED} - {1}


def bounds(row: Mapping[str, int | None]) -> list[str]:
    return ["?" if row[end] is None else str(row[end]) for end in ("low", "high")]


@pytest.mark.parametrize("block", blocks(BOUNDS_PAGE), ids=lambda block: block.text[:60])
def test_bounds(block: Block, ledger_file: sa.Engine) -> None:
    """The reports of an example have the bounds in the table below it."""
    assert refusals(record_text(ledger_file, block.text)) == []
    found = answered(ledger_file)
    if len(block.table[0]) == 4:
        names = ("count", "reversals") if "releases" in block.table[0] else ("since", "until")
        for *given, low, high in block.table:
            chosen = {name: value for name, value in zip(names, given, strict=True) if value}
            assert bounds(answered(ledger_file, **chosen).total) == [low, high]
        return
    rows = [[row["citizenship"], *bounds(row)] for row in found]
    other = ["any other", *bounds(found.further["any_other_citizenship"])]
    assert [["all", *bounds(found.total)], *rows, other] == block.table
    for dispute in found.disputes:
        assert f"positions {', '.join(map(str, dispute['positions']))}." in BOUNDS_PAGE


def test_rules_of_the_answers() -> None:
    """The page repeats the rules of counting and the assumptions that answers print."""
    for words in (*answers.COUNTING.values(), *answers.IN_ANY_CASE, *answers.ASSUMPTIONS):
        assert f"- {words}\n" in BOUNDS_PAGE
    assert f"more than {EXACT_UP_TO} contested" in BOUNDS_PAGE


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.md")), ids=lambda path: path.name)
def test_links_and_paths(path: Path) -> None:
    """Every link of a page leads to a heading that is there, every path it names to a file."""
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        linked = path.parent / target if target else path
        headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs
    for name in re.findall(r"`((?:ledger|migrations|tests|benchmarks)/[\w/.-]*)`", text):
        assert (DOCS.parent / name).exists(), name


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("*.md")), ids=lambda p: p.name)
def test_decisions_have_one_shape(path: Path) -> None:
    """A decision has a number, its four parts in order, and fits on a screen."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {int(path.name[:4])}. ")
    parts = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert parts == ["Context", "Options", "Decision", "Consequence"]
    assert len(lines) <= 60
