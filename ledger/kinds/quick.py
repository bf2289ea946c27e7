"""Quick tests: whether a value is in normal form already, compiled from what its fields say.

Takes a test as lines of Python, which the fields of a form yield one after the other; hands on one
function without a call inside it for each of them. Every append asks it of every value.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ledger.errors import BadValue

Check = Callable[[Any], bool]
Use = Callable[[object], str]
"""Gives an object a name under which a line can use it."""
Lines = Iterator[str]
"""They run on where the value passes, and return False where it does not."""

_FUNCTION = """
def is_normal(it):
    try:
        pass
{lines}
    except (KeyError, BadValue):
        return False
    return True
"""


def compiled(test: Callable[[str, Use], Lines]) -> Check:
    """Return the function that runs a test, given as the lines that look at the variable `it`.

    A field that is missing (KeyError) and the refusal of a rule (BadValue) fail it too.
    """
    scope: dict[str, Any] = {"BadValue": BadValue}

    def use(thing: object) -> str:
        name = f"_{len(scope)}"
        scope[name] = thing
        return name

    lines = "\n".join(indented(indented(test("it", use))))
    exec(_FUNCTION.format(lines=lines), scope)  # the source is this package's own text alone
    check: Check = scope["is_normal"]
    return check


def unless(condition: str) -> str:
    """Return the line that fails the test unless the condition holds."""
    return f"if not ({condition}): return False"


def indented(lines: Iterable[str]) -> Lines:
    """Yield the lines as the body of the one before them."""
    for line in lines:
        yield f"    {line}"
