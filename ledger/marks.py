"""Marks: where streams, in order of their name, are divided, and where they stay divided.

Takes the marks of an earlier time and who counts events; hands on names of streams. Pure.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

Further = Callable[[str, int], str | None]
"""Returns the stream of the so manyth event behind a name; None where there are fewer."""


def marks(
    after: str, end: str, events: int, known: Iterable[str], further: Further
) -> Iterator[str]:
    """Yield names between two others that divide streams into so many events, or up to twice.

    Marks of an earlier time are kept, so that what lies between them is met again. Where more has
    come between two of them there are new ones, and small parts that follow each other become one.
    A stream is never divided. Asks `further` twice a mark.
    """
    mark = after
    old = deque([*sorted(name for name in known if mark < name < end), end])
    while True:
        near, far = (further(mark, n * events) or end for n in (1, 2))
        while len(old) > 1 and old[1] <= near:
            old.popleft()
        mark = old.popleft() if old[0] <= far else near
        if mark >= end:
            return
        yield mark
