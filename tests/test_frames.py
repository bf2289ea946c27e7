"""Answers as pyarrow tables and pandas data frames."""

import sys
from typing import Any

import pytest
import sqlalchemy as sa
from recording import record_example

from ledger.answers.answer import Answer
from ledger.answers.frames import POSITIONS, WHOLE, WORDS, YES_OR_NO
from ledger.answers.registry import QUESTIONS
from ledger.book import now
from ledger.errors import CouldNot
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild_all
from ledger.store.connect import reading

ROWS: list[dict[str, Any]] = [
    {"citizenship": "PL", "low": 1, "high": None, "disputed": False, "developments": 2},
    {"citizenship": None, "low": 2**53 - 1, "high": 5, "disputed": True, "developments": 1},
]
COLUMNS = tuple(ROWS[0])


def answer(rows: list[dict[str, Any]]) -> Answer:
    """Return an answer with these rows."""
    return Answer("How many?", COLUMNS, rows, {"state": "BY"}, "releases", ("one", "two"))


def shipped(engine: sa.Engine) -> list[Answer]:
    """Return the answer to every question about the shipped examples."""
    record_example(engine, "article")
    record_example(engine, "wider")
    rebuild_all(engine, PROJECTIONS, now)
    with reading(engine) as connection:
        return [question.answer(connection) for question in QUESTIONS]


def test_arrow_types() -> None:
    """Numbers are int64, yes or no is bool, all else is text."""
    schema = answer(ROWS).to_arrow().schema
    assert schema.names == list(COLUMNS)
    assert [str(type) for type in schema.types] == ["string", "int64", "int64", "bool", "int64"]


def test_arrow_values() -> None:
    """A table gives back the rows, and an empty high is a null."""
    assert answer(ROWS).to_arrow().to_pylist() == ROWS


def test_arrow_says_how_it_counted() -> None:
    """The schema's metadata name the question, its scope and how it was counted."""
    assert answer(ROWS).to_arrow().schema.metadata == {
        b"question": b"How many?", b"scope": b"state: BY", b"counting": b"releases",
        b"assumptions": b"one; two",
    }


def test_pandas_types() -> None:
    """Numbers are nullable Int64, yes or no is boolean, all else is text."""
    types = answer(ROWS).to_pandas().dtypes
    assert [str(type) for type in types] == ["string", "Int64", "Int64", "boolean", "Int64"]


def test_pandas_values() -> None:
    """No number passes through a float, and an empty high is missing."""
    frame = answer(ROWS).to_pandas()
    assert frame["low"].tolist() == [1, 2**53 - 1]
    assert frame["high"].isna().tolist() == [True, False]
    assert frame["citizenship"].isna().tolist() == [False, True]
    assert frame.attrs["scope"] == "state: BY"


def test_no_rows() -> None:
    """An answer without rows has the same columns of the same types."""
    assert answer([]).to_arrow().schema == answer(ROWS).to_arrow().schema
    assert answer([]).to_pandas().dtypes.equals(answer(ROWS).to_pandas().dtypes)


@pytest.mark.parametrize(("library", "method"), [("pyarrow", "to_arrow"), ("pandas", "to_pandas")])
def test_without_the_library(monkeypatch: pytest.MonkeyPatch, library: str, method: str) -> None:
    """Where the library is missing, the refusal says what to install."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(CouldNot, match=r"install incident-ledger\[frames\]"):
        getattr(answer(ROWS), method)()


def test_every_question(engine: sa.Engine) -> None:
    """Every question's answer becomes a table and a frame with all its rows and columns."""
    for found in shipped(engine):
        table, frame = found.to_arrow(), found.to_pandas()
        assert table.to_pylist() == [{name: row[name] for name in found.columns} for row in found]
        assert list(frame.columns) == table.column_names == list(found.columns)
        assert len(frame) == len(found.rows)


def test_types_by_name(engine: sa.Engine) -> None:
    """What a column is named decides its type, and every answer keeps to that."""
    wanted: dict[str, type] = {
        **dict.fromkeys(WHOLE, int),
        **dict.fromkeys(YES_OR_NO, bool),
        **dict.fromkeys((*POSITIONS, *WORDS), list),
    }
    for found in shipped(engine):
        for row in found:
            for name in found.columns:
                assert row[name] is None or type(row[name]) is wanted.get(name, str), name
