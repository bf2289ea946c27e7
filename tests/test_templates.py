"""Templates must be filled in; refused reports come back in a form that can be mended."""

import io
import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ledger.book import writer
from ledger.cli.main import ledger
from ledger.cli.templates import (
    STREAMS,
    kinds_to_write,
    refused_as_yaml,
    template,
    with_examples,
)
from ledger.errors import Complaint
from ledger.intake.composing import CATEGORIES
from ledger.intake.reading import Draft, read_reports
from ledger.intake.recording import Outcome, Refusal, record
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS
from ledger.store.connect import connect

KINDS_TO_WRITE = [pytest.param(kind, id=kind.type) for kind in kinds_to_write()]

PROVENANCE = "provenance: {publisher: Example Times, url: https://example.org/1}"
BEFORE = f"""
{PROVENANCE}
reports:
  - {{kind: PrisonersReleased, development: by-release-2025-12-13, when: 2025-12-13, by: BY}}
  - {{kind: PrisonersReleased, development: by-release-mid-december, when: 2025-12, by: BY}}
  - {{kind: TalksHeld, development: by-talks-2025-12-12, when: 2025-12-12, parties: [BY, US]}}
  - {{kind: DevelopmentsLinked, development: by-release-2025-12-13, link: follows,
     to: by-talks-2025-12-12}}
  - {{kind: PersonIdentified, person: p-9q4d, name: A. Name}}
"""
MERGE = """
kind: DevelopmentsMerged
development: by-release-mid-december
same_as: by-release-2025-12-13
reason: the same bus
"""
POSITIONS = {
    "ReportCorrected": 1, "ReportRetracted": 1, "ReportRanked": 1, "LinkWithdrawn": 4,
    "MergeWithdrawn": 6,
}
"""What a person fills in before a template that names a position can be recorded."""


@pytest.fixture
def engine(sqlite_database: str) -> sa.Engine:
    """A ledger in which everything is that a template names."""
    engine = connect(sqlite_database)
    for text in (BEFORE, MERGE):
        assert not recorded(engine, text).refusals
    return engine


def recorded(engine: sa.Engine, text: str) -> Outcome:
    """Record the text and return the outcome."""
    return record(engine, read_reports(io.BytesIO(text.encode())), writer("tester"))


def filled_in(kind: Kind, text: str) -> str:
    """Put in every example, and the one thing that none can know: an earlier position."""
    text = with_examples(text)
    if kind.type == "DevelopmentsMerged":
        return text.replace("development: by-release-2025-12-13", "development: another")
    return text.replace("position: 12", f"position: {POSITIONS.get(kind.type)}")


def with_everything(text: str) -> str:
    """Take the # away from every field that may be left out, as the form's head says."""
    lines = text.splitlines()
    while any(is_left_out(line) for line in lines):
        lines = [uncommented(line) if is_left_out(line) else line for line in lines]
    return "\n".join(lines)


def is_left_out(line: str) -> bool:
    """Return whether the line is a field behind a #, not prose."""
    rest = line.lstrip()
    return rest.startswith("#") and rest != "#" and (rest[1] != " " or rest[2] == " ")


def uncommented(line: str) -> str:
    """Return the line without its first #."""
    return line.replace("#", "", 1)


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
@pytest.mark.parametrize("whole", [False, True])
def test_is_refused_as_it_stands(kind: Kind, whole: bool, engine: sa.Engine) -> None:
    """A template that nobody filled in is refused by what is missing, each on its own line."""
    text = with_everything(template(kind)) if whole else template(kind)
    (refusal,) = recorded(engine, text).refusals
    assert all(remark.message.startswith("is missing") for remark in refusal.remarks)
    lines = text.splitlines()
    for remark in refusal.remarks:
        name = remark.field.split(".")[-1]
        assert lines[remark.line - 1].lstrip(" -").startswith(f"{name}:")
    required = [name for name, field in kind.form.parts.items() if field.required]
    missing = {remark.field.split(".")[0] for remark in refusal.remarks}
    assert missing >= set(required) - {"type", "type_version", "report"}


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_says_nothing_by_itself(kind: Kind) -> None:
    """Nothing is filled in but which kind it is, and no example names a real publisher."""
    text = template(kind)
    given = [line for line in text.splitlines() if not re.match(r" *(#|- )|.*:(  #.*)?$|$", line)]
    assert given == [f"kind: {kind.type}", *["type: PrisonersReleased"] * ("report:" in text)]
    assert not re.search("straight|reuters|belta", text, re.I)


def test_correction_of_another_type(engine: sa.Engine) -> None:
    """The template of a correction says how a report of another type than its own is restated."""
    text = template(KINDS["ReportCorrected"])
    assert "`ledger record --template TYPE`" in " ".join(text.replace("#", " ").split())
    head, _, _ = filled_in(KINDS["ReportCorrected"], text).partition("type:")
    talks = with_examples(template(KINDS["TalksHeld"])).partition("by-talks-held-2025-12-13\n")[2]
    fields = "\n".join(f"  {line}" for line in talks.splitlines())
    text = head.replace("position: 1", "position: 3") + f"type: TalksHeld\nreport:\n{fields}"
    assert not recorded(engine, text).refusals


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_records_with_its_examples(kind: Kind, engine: sa.Engine) -> None:
    """The template of every kind that a person may write is recorded with its examples put in."""
    outcome = recorded(engine, filled_in(kind, template(kind)))
    assert [str(c) for refusal in outcome.refusals for c in refusal.complaints] == []
    assert outcome.written
    assert outcome.flags == []
    assert len(outcome.recorded) == 1


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_records_with_everything(kind: Kind, engine: sa.Engine) -> None:
    """The template is recorded too once every field that may be left out was put in."""
    outcome = recorded(engine, with_everything(filled_in(kind, template(kind))))
    assert [str(c) for refusal in outcome.refusals for c in refusal.complaints] == []
    assert len(outcome.recorded) == 1


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_names_every_field_with_its_help(kind: Kind) -> None:
    """Every field of the kind stands in its template, below its help."""
    text = template(kind)
    flat = " ".join(text.replace("#", " ").split())
    for name, field in kind.form.parts.items():
        assert f"\n{name}:" in text or f"\n#{name}:" in text
        assert field.metadata["help"] in flat


@pytest.mark.parametrize("kind", KINDS_TO_WRITE)
def test_fits_a_terminal(kind: Kind) -> None:
    """No line of a template is longer than 80 columns, except a digest."""
    lines = template(kind).splitlines()
    assert [line for line in lines if len(line) > 80 and "0" * 64 not in line] == []


def test_every_category_has_an_example() -> None:
    """Every category of streams that a report can name has an example."""
    assert set(STREAMS) == set(CATEGORIES)


def test_every_kind_but_the_erasure_can_be_written() -> None:
    """Every kind has a template, except what only the ledger itself writes."""
    assert {kind.type for kind in kinds_to_write()} == set(KINDS) - {"PersonalDataErased"}


@pytest.mark.parametrize("words", ["PrisonersReleased", "prisoners released", "prisoners-released"])
def test_command_prints_it(words: str) -> None:
    """`record --template` finds a kind however its name is written, and needs no file."""
    result = CliRunner().invoke(ledger, ["record", "--template", words])
    assert (result.exit_code, result.stdout) == (0, template(KINDS["PrisonersReleased"]))


@pytest.mark.parametrize(("words", "code"), [("list", 0), ("nosuch", 2), ("PersonalDataErased", 2)])
def test_command_lists_the_kinds(words: str, code: int) -> None:
    """`record --template` lists the kinds when asked, and when there is no such kind to write."""
    result = CliRunner().invoke(ledger, ["record", "--template", words])
    assert result.exit_code == code
    assert "TallyReported" in (result.stdout if code == 0 else result.stderr)
    assert max(map(len, result.output.splitlines())) <= 80


# Whatever a report's YAML could say: text of all sorts, whole numbers, true, false, nothing.
LEAVES: st.SearchStrategy[Any] = (
    st.text(st.characters(codec="utf-8"))
    | st.sampled_from(["0841", "1e5", ".5", "-1", "1_0", "0x1f", "2025-12-13", "NO", "~", "", "0o7",
                       "1.5", "+1", "-.inf", ".NaN", "1:30", "true", "null", "=", "<<", "1" * 25])
    | st.integers(0, 2**53)
    | st.booleans()
    | st.none()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text("abc_0.~ ", min_size=1, max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["kind", "when", "note", "total"]), VALUES, min_size=1))
def test_refused_yaml_says_the_same(fields: dict[str, Any]) -> None:
    """A report that was written out as refused YAML reads back with exactly its fields."""
    refusal = Refusal((Complaint("total", "got\nnothing"),), Draft(3, fields))
    (draft,) = read_reports(io.BytesIO(refused_as_yaml([refusal], "x.yaml").encode()), "yaml")
    assert isinstance(draft, Draft), draft
    assert draft.fields == fields


def test_the_list_of_kinds_as_json() -> None:
    """A program may ask which kinds there are: one envelope, with what each reports."""
    asked = CliRunner().invoke(ledger, ["record", "--template", "list", "--format", "json"])
    assert asked.exit_code == 0
    data = json.loads(asked.stdout)["data"]
    assert {row["kind"] for row in data} == {kind.type for kind in kinds_to_write()}
