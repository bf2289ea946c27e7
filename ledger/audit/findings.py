"""What an audit says: findings, and the verdict that they add up to.

Takes single complaints from the checks; hands on the first of them in order of position, the count
of all, and a verdict with its exit code. A verdict is about integrity: whether what was recorded is
there unaltered, not whether everything that happened was recorded.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from heapq import nsmallest
from typing import NamedTuple

KEPT = 200
"""Findings that are kept; all are counted."""


class Rule:
    """What each finding broke. The first six say that what is stored contradicts itself."""

    POSITION = "position"
    """Positions are 1, 2, 3, … without a gap."""
    LEAF = "leaf"
    """leaf_hash is SHA-256(0x00 || entry)."""
    ENTRY = "entry"
    """An entry is canonical JSON of the format."""
    COLUMN = "column"
    """A derived column says what the entry says."""
    DATABASE = "database"
    """What the database finds of a row by an index is the row, and all rows are found."""
    TREE = "tree"
    """The row of tree_head is what the entries add up to."""
    STREAM = "stream"
    """stream_version counts 1, 2, 3, … in order of position."""
    ID = "id"
    """No event id stands twice."""
    TIME = "time"
    """recorded_at never goes back, and fits the times at which heads were signed."""
    MISSING = "disclosure missing"
    ALTERED = "disclosure altered"
    STRAY = "disclosure stray"
    ERASURE = "erasure"
    """What an erasure names is gone, and was there."""
    PROJECTION = "projection"
    """Answer tables hold what the events add up to."""
    ROLLBACK = "rollback"
    """The ledger is not smaller than a head that was signed."""
    FORK = "fork"
    """The first events add up to the root of each head that was signed over them."""
    HEAD = "head"
    """A signed head is signed, and says what its store says of it."""


BROKEN = frozenset(
    (Rule.POSITION, Rule.LEAF, Rule.ENTRY, Rule.COLUMN, Rule.DATABASE, Rule.TREE)
)
"""Rules that a history which was replaced consistently does not break."""

EXPLAINING = frozenset((Rule.POSITION, Rule.LEAF, Rule.ENTRY))
"""Rules about one event that is not what was hashed."""
OVER_MANY = frozenset((Rule.TREE, Rule.ROLLBACK, Rule.FORK))
"""Rules about a root, which say that one of many events is another."""


class Finding(NamedTuple):
    """One complaint of the audit."""

    position: int | None
    """The event it is about, or the first of those it may be about; None: none in particular."""
    rule: str
    message: str
    last: int | None = None
    """The last event that it may be about, where it is one of several; None: the one."""


class Verdict(Enum):
    """What an audit found, in one word; the value is the exit code."""

    OK = 0
    TAMPERED = 1
    COULD_NOT = 4
    FORK = 5

    @property
    def word(self) -> str:
        """The verdict as machines read it."""
        return {0: "ok", 1: "tampered", 4: "could_not_verify", 5: "fork_or_rollback"}[self.value]


@dataclass(slots=True)
class Findings:
    """The first findings in order of position, and how many of each rule there are."""

    kept: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)
    """What was given to compare with and could not be used: it speaks neither for nor against."""

    def add(
        self, position: int | None, rule: str, message: str, last: int | None = None
    ) -> None:
        """Take one finding."""
        self.counts[rule] = self.counts.get(rule, 0) + 1
        self._keep([Finding(position, rule, message, last)])

    def take(self, other: "Findings") -> None:
        """Take all findings of another collection."""
        for rule, count in other.counts.items():
            self.counts[rule] = self.counts.get(rule, 0) + count
        self._keep(other.kept)
        self.passed_over += other.passed_over

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts.values())

    def first(self) -> list[Finding]:
        """Return the first of them, in order of position; those without one come last."""
        return nsmallest(KEPT, self.kept, key=_place)

    def place(self) -> tuple[int, int] | None:
        """Return the first position that is wrong; as a range where only that much is known.

        An entry that does not fit its hash, or is gone, explains why a root over it differs.
        """
        spans = [(f.position, f.position if f.last is None else f.last, f.rule)
                 for f in self.first() if f.position is not None]
        exact = [first for first, _, rule in spans if rule in EXPLAINING]
        for first, last, rule in spans:
            if rule not in OVER_MANY or not any(first <= at <= last for at in exact):
                return first, last
        return None

    def _keep(self, more: Iterable[Finding]) -> None:
        self.kept.extend(more)
        if len(self.kept) > 2 * KEPT:
            self.kept = self.first()

    def __bool__(self) -> bool:
        return bool(self.counts)


def verdict_on(findings: Findings, failure: str | None) -> Verdict:
    """Return the verdict: a rollback first, then tampering, a fork, and what could not be read.

    A root that differs from a signed one is a fork only where nothing else contradicts itself: then
    the history was replaced by another one. Otherwise the difference follows from the tampering.
    """
    rules = findings.counts.keys()
    if Rule.ROLLBACK in rules:
        return Verdict.FORK
    if Rule.FORK in rules and not rules & BROKEN:
        return Verdict.FORK
    if findings:
        return Verdict.TAMPERED
    return Verdict.OK if failure is None else Verdict.COULD_NOT


def _place(finding: Finding) -> tuple[bool, int]:
    return finding.position is None, finding.position or 0
