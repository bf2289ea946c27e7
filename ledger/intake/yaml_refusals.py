"""Why a text is not YAML: what was got, what was wanted, and on which line.

Takes the bytes and what the parser says of them; hands on a BadFile. The parser's own words name
its state and often the line after the slip; the slips that people make are named by themselves.
"""

import re
from typing import Any

import yaml

from ledger.errors import BadFile, shown

_NO_BLANK = re.compile(r"\s*(?:- +)*([\w-]+):((?!//)\S.*)")
"""`total:123`, which YAML takes for one word; an address is none of these."""
_PRE = "not YAML: "


def not_yaml(raw: bytes, refusal: yaml.YAMLError) -> BadFile:
    """Return the refusal of a file that the parser did not get through."""
    if isinstance(refusal, yaml.reader.ReaderError):
        return _not_text(raw, refusal.character)
    if not isinstance(refusal, yaml.MarkedYAMLError) or refusal.problem_mark is None:
        return BadFile(f"{_PRE}{refusal}")
    lines = raw.decode("utf-8", "replace").removeprefix("\ufeff").splitlines()
    mark = refusal.problem_mark
    text = _at(lines, mark.line)
    met = text[mark.column : mark.column + 1]
    if met == "\t":
        return BadFile(f"{_PRE}got a tab at column {mark.column + 1}, wanted spaces", mark.line + 1)
    why = _in_other_words(f"got {shown(met)} at column {mark.column + 1}", refusal)
    return _colon_missing(lines, refusal, mark) or BadFile(f"{_PRE}{why}", mark.line + 1)


def _not_text(raw: bytes, character: Any) -> BadFile:
    """Name the first byte that is no UTF-8, or the first control character."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as refusal:
        before, what = raw[: refusal.start].decode("utf-8"), f"byte 0x{raw[refusal.start]:02x}"
        wanted = "UTF-8"
    else:
        before, what = text.partition(chr(character))[0], f"the character U+{character:04X}"
        wanted = "text without control characters"
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return BadFile(f"{_PRE}got {what} at column {column}, wanted {wanted}", line)


def _colon_missing(
    lines: list[str], refusal: yaml.MarkedYAMLError, mark: yaml.Mark
) -> BadFile | None:
    """Name the line that should be a field and its value, where the parser takes it for text.

    The parser notices on a later line: the next colon is one too many, or none comes.
    """
    problem = refusal.problem or ""
    if "expected ':'" in problem and refusal.context_mark:
        line = refusal.context_mark.line
    elif "mapping values" in problem:
        line = mark.line - 1
    else:
        return None
    text = _at(lines, line)
    if found := _NO_BLANK.fullmatch(text):
        wanted = f"a blank after the colon: {shown(f'{found[1]}: {found[2]}')}"
    elif "expected" in problem:
        wanted = "a field and its value, as total: 123"
    else:
        return None
    return BadFile(f"{_PRE}got {shown(text.strip())}, wanted {wanted}", line + 1)


def _in_other_words(got: str, refusal: yaml.MarkedYAMLError) -> str:
    """Say what the parser met, in its own words where they say enough."""
    problem = refusal.problem or ""
    if "mapping values" in problem:
        return f"{got}, wanted text with a colon in quotes, or a field on a line of its own"
    if "cannot start any token" in problem:
        return f"{got}, wanted text that begins with it in quotes"
    begun = refusal.context_mark.line + 1 if refusal.context_mark else None
    since = f"{refusal.context} that begins on line {begun}: " if begun else ""
    return since + problem


def _at(lines: list[str], line: int) -> str:
    return lines[line] if 0 <= line < len(lines) else ""
