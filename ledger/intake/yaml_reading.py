"""YAML without its surprises: text stays text.

Takes bytes; hands on nodes and plain values. Only whole numbers, true, false and null are anything
else than text: `NO` is Norway and not false, `0841` is a code and not a number, `2025-12-13` is a
day as written. A float is refused. (The YAML 1.2 core schema, minus floats and other number bases.)
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

LEVELS_AT_MOST = 200
"""Levels of nesting; a report has fewer than ten. Without an end of its own, libyaml 0.2.5 goes on
until the stack overflows and the process dies."""
ALIASES_AT_MOST = 100_000
"""Nodes that one report may unfold to through aliases: more is an attack, not a report."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?(e[-+]?\d+)?|\.inf|\.nan)", re.I | re.A)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class TooDeep(Exception):
    """Nested deeper than LEVELS_AT_MOST."""

    def __init__(self, mark: Any) -> None:
        self.line = mark.line + 1


class _Loader(_Safe):  # type: ignore[misc]  # whichever there is
    """Counts levels where the composer asks which rules of resolution hold at a node: none do."""

    level = 0

    def descend_resolver(self, parent: Any, _: object) -> None:
        self.level += 1
        if self.level > LEVELS_AT_MOST:
            raise TooDeep(parent.start_mark)

    def ascend_resolver(self) -> None:
        self.level -= 1


def documents(raw: bytes) -> Iterator[yaml.Node]:
    """Yield the root node of every document that is not empty; raises yaml.YAMLError, TooDeep."""
    loader = _Loader(raw)
    try:
        while loader.check_node():
            node = loader.get_node()
            if not (isinstance(node, yaml.ScalarNode) and node.value == ""):
                yield node
    except yaml.MarkedYAMLError as refusal:
        if "nesting depth" in str(refusal.problem):  # libyaml 0.2.6 looks ahead and has an end, too
            raise TooDeep(refusal.problem_mark) from None
        raise
    finally:
        loader.dispose()


def construct(node: yaml.Node) -> Any:
    """Return the plain value of a node; raises ValueError that names the line."""
    return _construct(node, [ALIASES_AT_MOST])


def _construct(node: yaml.Node, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise ValueError(f"{_line(node)}: unfolds to more than {ALIASES_AT_MOST:,} values")
    if not node.tag.startswith("tag:yaml.org,2002:"):
        raise ValueError(f"{_line(node)}: got the tag {node.tag}, wanted no tags")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, left) for item in node.value]
    fields: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"{_line(key)}: a key must be a word")
        if name in fields:
            raise ValueError(f"{_line(key)}: the key {name!r} stands twice, wanted it once")
        fields[name] = _construct(value, left)
    return fields


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text) if len(text) < 20 else text
    if _FLOAT.fullmatch(text) and not text.isdigit():
        raise ValueError(
            f"{_line(node)}: got the number {text}, wanted whole numbers (or text in quotes)"
        )
    return text


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
