"""Events before and after they are recorded.

Takes nothing from elsewhere; `encoding` makes a NewEvent into bytes and bytes into a RecordedEvent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Data = dict[str, Any]

STREAM = re.compile(r"[a-z]+(?:/[a-z0-9][a-z0-9._-]*)+")
"""How streams are named."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What a writer hands to the store: no position, no stream_version, no recorded_at yet."""

    id: str
    """UUIDv7, chosen by the writer, so that a retry can be recognised."""
    stream: str
    type: str
    type_version: int
    data: Data
    """The public part: what will stand in the entry."""
    disclosures: Mapping[str, str] = field(default_factory=dict)
    """JSON pointer into `data` to disclosure (RFC 9901), for every personal field sealed out."""
    causation: str | None = None
    correlation: str | None = None
    canonical: bytes | None = field(default=None, init=False, repr=False, compare=False)
    """`data`, format and `id` as they will stand in the entry, made where the data were checked and
    not under the append lock; None where `encoding` has to make them. A copy starts without."""


class _Unfrozen:
    """A NewEvent that can be filled in: its slots, without what refuses to set them."""

    __slots__ = NewEvent.__slots__


def new_event(
    id: str,
    stream: str,
    type: str,
    type_version: int,
    data: Data,
    disclosures: Mapping[str, str],
    causation: str | None,
    correlation: str | None,
    canonical: bytes,
) -> NewEvent:
    """Return an event with its canonical bytes, in a quarter of the time of `NewEvent(…)`.

    What a frozen dataclass costs is that it sets each field past its own refusal. Here they are set
    while nothing refuses, and the event is frozen after that.
    """
    event: Any = _Unfrozen()
    event.id = id
    event.stream = stream
    event.type = type
    event.type_version = type_version
    event.data = data
    event.disclosures = disclosures
    event.causation = causation
    event.correlation = correlation
    event.canonical = canonical
    event.__class__ = NewEvent
    frozen: NewEvent = event
    return frozen


class RecordedEvent(NamedTuple):
    """What the store hands back: immutable, decoded, upcast, personal fields put back.

    A tuple: every read makes one for each event, and a frozen dataclass takes three times as long.
    """

    position: int
    id: str
    stream: str
    stream_version: int
    type: str
    type_version: int
    """The version of `data` as given here, after upcasting; the entry may hold an older one."""
    recorded_at: str
    recorded_by: str
    data: Data
    causation: str | None = None
    correlation: str | None = None
    erased: tuple[str, ...] = ()
    """JSON pointers into `data` whose value was erased; each stands there as `[erased]`."""
