"""YAML without its surprises: text stays text.

Takes bytes; hands on nodes, plain values and the lines they stand on. Only whole numbers, true,
false and null are anything else than text: `NO` is Norway and not false, `0841` is a code and not a
number, `2025-12-13` is a day as written. A float is refused, and so is a tag. (The YAML 1.2 core
schema, minus floats and other number bases.)
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

NO_TAG = ""
TAGS = "tag:yaml.org,2002:"
"""What `!!` stands for."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]*")
_FLOAT = re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?(e[-+]?\d+)?|\.inf|\.nan)", re.I | re.A)
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


class TooDeep(Exception):
    """Nested deeper than LEVELS_AT_MOST."""

    def __init__(self, mark: Any) -> None:
        self.line = mark.line + 1


class Unread(ValueError):
    """A node that has no plain value: says on which line, and why."""

    def __init__(self, node: yaml.Node, why: str) -> None:
        self.line = line_of(node)
        super().__init__(why)


class _Loader(_Safe):  # type: ignore[misc]  # whichever there is
    """Counts levels where the composer asks which rules of resolution hold at a node: none do.

    So a node without a tag gets none, and every tag that a node has was written.
    """

    level = 0

    def descend_resolver(self, parent: Any, _: object) -> None:
        self.level += 1
        if self.level > LEVELS_AT_MOST:
            raise TooDeep(parent.start_mark)

    def ascend_resolver(self) -> None:
        self.level -= 1

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        return NO_TAG


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
    """Return the plain value of a node; raises Unread."""
    return _construct(node, [ALIASES_AT_MOST])


def _construct(node: yaml.Node, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise Unread(node, f"unfolds to more than {ALIASES_AT_MOST:,} values")
    _refuse_tag(node)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_construct(item, left) for item in node.value]
    fields: dict[str, Any] = {}
    for key, value in node.value:
        name = key.value
        _refuse_tag(key)
        if not isinstance(key, yaml.ScalarNode):
            raise Unread(key, "a key must be a word")
        if name in fields:
            raise Unread(key, f"the key {name!r} stands twice, wanted it once")
        fields[name] = _construct(value, left)
    return fields


def _refuse_tag(node: yaml.Node) -> None:
    if node.tag != NO_TAG:
        tag = "!!" + node.tag[len(TAGS) :] if node.tag.startswith(TAGS) else node.tag
        raise Unread(node, f"got the tag {tag}, wanted no tags")


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style:  # quoted, or a block of text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text) if len(text) < 20 else text
    if _FLOAT.fullmatch(text) and not text.isdigit():
        raise Unread(node, f"got the number {text}, wanted whole numbers (or text in quotes)")
    return text


def line_of(node: yaml.Node) -> int:
    """Return the line that a node begins on, the first being 1."""
    line: int = node.start_mark.line
    return line + 1


def place_of(node: yaml.Node, field: str) -> tuple[int, int]:
    """Return how many steps of a field's name (`persons.1.name`) are found inside a node, and the
    line that the last of them stands on: a field that is not there has the line of its parent."""
    depth, line = 0, line_of(node)
    while field and (step := _step(node, field)):
        key, node, field = step
        depth, line = depth + 1, line_of(key)
    return depth, line


def _step(node: yaml.Node, field: str) -> tuple[yaml.Node, yaml.Node, str] | None:
    """Return the key (or item) that the name begins with, what belongs to it, the rest of the name.

    A key may have points in it, such as `U.S.`.
    """
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if f"{field}.".startswith(f"{key.value}."):
                return key, value, field[len(key.value) + 1 :]
    elif isinstance(node, yaml.SequenceNode):
        index, _, rest = field.partition(".")
        if index.isdecimal() and int(index) < len(node.value):
            item = node.value[int(index)]
            return item, item, rest
    return None
