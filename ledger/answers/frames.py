"""Answers as tables of other libraries: pyarrow and pandas.

Takes the columns and rows of an Answer, and what it says about itself; hands on a pyarrow Table or
a pandas DataFrame. A column's type comes from its name and not from the values, so an answer
without rows has the same columns of the same types, and an empty number stays an empty number.
Neither library is imported before it is asked for: `pip install incident-ledger[frames]`.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ledger.errors import CouldNot

WHOLE = frozenset((
    "low", "high", "developments", "reports", "position",
    "claimed_low", "claimed_high", "derived_low", "derived_high",
))
YES_OR_NO = frozenset(("disputed",))
POSITIONS = frozenset(("positions",))
WORDS = frozenset((
    "said_by", "denied_by", "citizenships", "same_as", "to_same_as", "measures",
))
"""Every other column is text; an empty cell is a missing value in all of them."""

Rows = Sequence[Mapping[str, Any]]


def arrow_table(columns: Sequence[str], rows: Rows, about: Mapping[str, str]) -> Any:
    """Return a pyarrow Table: int64, bool, string and lists; `about` is its schema's metadata.

    Raises CouldNot where pyarrow is not installed.
    """
    arrow = _library("pyarrow", "an Arrow table")

    def type_of(name: str) -> Any:
        if name in POSITIONS:
            return arrow.list_(arrow.int64())
        if name in WORDS:
            return arrow.list_(arrow.string())
        if name in WHOLE:
            return arrow.int64()
        return arrow.bool_() if name in YES_OR_NO else arrow.string()

    schema = arrow.schema([(name, type_of(name)) for name in columns], metadata=dict(about))
    values = [[row[name] for row in rows] for name in columns]
    arrays = [arrow.array(of, type_of(name)) for name, of in zip(columns, values, strict=True)]
    return arrow.Table.from_arrays(arrays, schema=schema)


def pandas_frame(columns: Sequence[str], rows: Rows, about: Mapping[str, str]) -> Any:
    """Return a pandas DataFrame: Int64, boolean, string, lists as objects; `about` is its attrs.

    Raises CouldNot where pandas is not installed.
    """
    pandas = _library("pandas", "a data frame")

    def type_of(name: str) -> str:
        if name in POSITIONS or name in WORDS:
            return "object"
        if name in WHOLE:
            return "Int64"
        return "boolean" if name in YES_OR_NO else "string"

    frame = pandas.DataFrame({
        name: pandas.Series([row[name] for row in rows], dtype=type_of(name)) for name in columns
    })
    frame.attrs = dict(about)
    return frame


def _library(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError as refusal:
        raise CouldNot(f"make {what}", f"{refusal}; install incident-ledger[frames]") from None
