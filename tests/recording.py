"""Recording and asking in tests: text in, outcome or answer out."""

import io
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import Answer
from ledger.answers.registry import QUESTIONS, Question
from ledger.answers.releases import releases
from ledger.book import now, writer
from ledger.examples.shipped import example
from ledger.intake.reading import read_reports
from ledger.intake.recording import Outcome, record
from ledger.projections.merges import MERGES, PERSONS
from ledger.projections.releases import RELEASES
from ledger.rebuild import catch_up, rebuild_all
from ledger.store.connect import reading
from ledger.store.read import read_head

SOURCE = "{publisher: A Newspaper, url: https://example.org/a}"


def record_text(engine: sa.Engine, text: str | bytes, **options: Any) -> Outcome:
    """Record a text of reports and return what became of it."""
    raw = text if isinstance(text, bytes) else text.encode()
    return record(engine, read_reports(io.BytesIO(raw)), writer("tester"), **options)


def recorded(engine: sa.Engine, text: str | bytes) -> Outcome:
    """Record a text that must not be refused."""
    outcome = record_text(engine, text)
    assert [str(c) for r in outcome.refusals for c in r.complaints] == []
    return outcome


def record_example(engine: sa.Engine, name: str) -> Outcome:
    """Record a shipped example."""
    return recorded(engine, example(name))


def release(stream: str = "by-release", **fields: Any) -> str:
    """Return one report of a release as a YAML list of one."""
    lines = {"when": "2025-12-13", "by": "Belarus", "provenance": SOURCE, **fields}
    text = "".join(f"  {name}: {value}\n" for name, value in lines.items())
    return f"- kind: PrisonersReleased\n  development: {stream}\n{text}"


def answered(engine: sa.Engine, **question: Any) -> Answer:
    """Rebuild whatever is behind the releases, and ask for them."""
    rebuild_all(engine, (RELEASES, MERGES, PERSONS), now)
    with reading(engine) as connection:
        return releases(connection, **question)


def asked_for(engine: sa.Engine, name: str, **parameters: Any) -> Answer:
    """Catch up with what was recorded, in all that a question reads, and ask it."""
    question = question_named(name)
    for projection in question.reads(parameters):
        catch_up(engine, projection, now)
    with reading(engine) as connection:
        return question.answer(connection, **parameters)


def question_named(name: str) -> Question:
    """Return the question of that name."""
    (question,) = [question for question in QUESTIONS if question.name == name]
    return question


def bounds_of(answer: Answer) -> dict[str, tuple[int, int | None]]:
    """Return low and high of each row by what the row is about."""
    key = answer.columns[0]
    return {row[key]: (row["low"], row["high"]) for row in answer}


def page_by_page(engine: sa.Engine) -> Iterator[int]:
    """Record both examples one document at a time; yield the last position after each."""
    for page in [example("article").decode(), *example("wider").decode().split("\n---\n")[1:]]:
        recorded(engine, page)
        with reading(engine) as connection:
            yield read_head(connection).size


def all_of(engine: sa.Engine) -> int:
    """How many events the ledger has."""
    with reading(engine) as connection:
        return read_head(connection).size
