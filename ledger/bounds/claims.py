"""What reports say about how many persons, and what that adds up to.

Takes and hands on nothing by itself: the words that `bounding` and `sums` share.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Bounds(NamedTuple):
    """At least `low` and at most `high` persons; `high` None where no upper bound is stated."""

    low: int
    high: int | None


UNSTATED = Bounds(0, None)
STATELESS = "stateless"
"""Stands where a citizenship would: whoever holds none is no foreigner, and not the state's own."""


class Person(NamedTuple):
    """A person on the list of a report; `key` None for a person without a name."""

    key: str | None
    citizenships: frozenset[str]
    """Empty where the report states none: then the person may hold any."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What one live report says about how many."""

    position: int
    total: Bounds
    citizenships: Mapping[str, Bounds]
    """The breakdown; "among them citizens of" is `Bounds(1, None)`."""
    exhaustive: bool = False
    """Every person holds a citizenship of the breakdown, or is one of the foreign where these are
    counted; without a breakdown this says nothing."""
    foreign: Bounds = UNSTATED
    """Persons who hold a citizenship other than that of the state; without a state, nothing."""
    persons: tuple[Person, ...] = ()
    unknown: int = 0
    """Persons of unknown citizenship, at least: others than those of the breakdown."""

    @property
    def leaves_nobody_out(self) -> bool:
        """Whether there is a breakdown, and it is exhaustive."""
        return self.exhaustive and (bool(self.citizenships) or self.foreign != UNSTATED)


@dataclass(frozen=True, slots=True)
class Bounded:
    """How many persons, and which claims disagree."""

    total: Bounds
    citizenships: dict[str, Bounds]
    """Sorted: what a claim lists or a listed person holds; the state, if foreigners are counted."""
    other: Bounds
    """Persons under any one citizenship that is not in `citizenships`."""
    disputed: bool
    positions: tuple[int, ...]
    """The claims that disagree, ascending; empty where nothing is disputed."""
    several: Mapping[str, int] = field(default_factory=dict, compare=False)
    """By citizenship: of those who hold it, how many hold another one, too, at most; not 0."""
