"""Whether a text names somebody: words and names as they are compared, whatever their spelling.

Takes texts or sealed values, and names; hands on whether the one has the other, or the text in the
form in which it is compared. Pure.
"""

import re
from collections.abc import Iterable
from typing import Any
from unicodedata import normalize

SHORTEST = 4
"""Letters of a word that is taken for a name when it stands alone in free text."""
_WORD = re.compile(r"[^\W\d_]+")
_UNPARTED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"""Letters of scripts that set no blanks between words, or add endings to a name."""


def is_in(text: str, names: Iterable[str]) -> bool:
    """Return whether free text has one of the names, or a longer word of one."""
    words, whole = set(_WORD.findall(_folded(text))), plain(text)
    for name in names:
        parts = {word for word in _WORD.findall(_folded(name)) if len(word) >= SHORTEST}
        if parts & words or holds(whole, plain(name)):
            return True
    return False


def holds(text: str, name: str) -> bool:
    """Return whether a text has the name; one of a single word only as a word of its own, where a
    script parts words: else Li would stand in Lithuania."""
    if " " in name or _UNPARTED.search(name):
        return name in text
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def plain(text: str) -> str:
    """Return the text as texts are compared: in one case, with single blanks."""
    return " ".join(_folded(text).split())


def text_of(value: Any) -> str:
    """Return a sealed value as text, a line for each part of it."""
    if isinstance(value, dict):
        value = list(value.values())
    return "\n".join(map(text_of, value)) if isinstance(value, list) else str(value)


def _folded(text: str) -> str:
    """Return the text as it is compared: an accent is the same, as a letter's own or beside it."""
    return normalize("NFKC", normalize("NFKC", text).casefold())
