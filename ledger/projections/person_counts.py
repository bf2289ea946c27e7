"""How few and how many persons some releases freed.

Takes releases one by one, which may be taken back; hands on the bounds. Which persons of one
release are those of another nobody says, as a rule. At most all are different, but for those whom
several lists name by their key. At least they are as many as the largest release has; as there are
different keys; or as the largest share of each citizenship has together, since who holds one
citizenship is nobody who holds another one.
"""

from collections import Counter
from collections.abc import Iterable
from heapq import heappop, heappush

from ledger.projections.release_list import Release, held_by


class Fewest:
    """How many persons at least; any order, and what was taken back leaves no trace."""

    def __init__(self, releases: Iterable[Release]) -> None:
        """Take all that are in question: what one lists of a person counts for the others."""
        releases = [*releases]
        lists = Counter(person for one in releases for person in one.keys)
        # In two of the shares is who holds two citizenships, or who is on two lists and may hold
        # in one release what is counted there, in the other one what is counted there.
        self._twice = sum(
            max(0, (len(codes) or lists[person]) - 1)
            for person, codes in held_by(releases).items()
        )
        self._sum = 0
        self._largest = _Largest()
        self._shares: dict[str, _Largest] = {}
        self._keys = Counter[str]()

    def add(self, one: Release) -> None:
        """Count one more release."""
        self._sum += one.total.low
        self._largest.add(one.total.low)
        for code, alone in one.alone.items():
            self._shares.setdefault(code, _Largest()).add(alone)
        self._keys.update(one.persons)

    def take(self, one: Release) -> None:
        """Count one that was added no longer."""
        self._sum -= one.total.low
        self._largest.take(one.total.low)
        for code, alone in one.alone.items():
            self._shares[code].take(alone)
        _take(self._keys, one.persons)

    @property
    def number(self) -> int:
        """Of those that are counted now."""
        apart = sum(share.number for share in self._shares.values()) - self._twice
        # A report that contradicts itself may list more than its total; no more than that count.
        return min(self._sum, max(self._largest.number, len(self._keys), apart))


class Most:
    """How many persons at most; None: a release has no upper bound."""

    def __init__(self) -> None:
        self._sum = self._endless = 0
        self._keys = Counter[str]()

    def add(self, one: Release) -> None:
        """Count one more release."""
        self._sum += one.total.high or 0
        self._endless += one.total.high is None
        self._keys.update(one.persons)

    def take(self, one: Release) -> None:
        """Count one that was added no longer."""
        self._sum -= one.total.high or 0
        self._endless -= one.total.high is None
        _take(self._keys, one.persons)

    @property
    def number(self) -> int | None:
        """Of those that are counted now; None: no upper bound."""
        return None if self._endless else self._sum - (self._keys.total() - len(self._keys))


def _take(counts: Counter[str], persons: Iterable[str]) -> None:
    for person in persons:
        counts[person] -= 1
        if not counts[person]:
            del counts[person]


class _Largest:
    """The largest of some numbers, which come and go; 0 where there is none."""

    def __init__(self) -> None:
        self._downwards: list[int] = []
        self._gone = Counter[int]()

    def add(self, number: int) -> None:
        heappush(self._downwards, -number)

    def take(self, number: int) -> None:
        self._gone[number] += 1

    @property
    def number(self) -> int:
        while self._downwards and self._gone[-self._downwards[0]]:
            self._gone[-heappop(self._downwards)] -= 1
        return -self._downwards[0] if self._downwards else 0
