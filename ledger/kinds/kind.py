"""What the ledger knows about one event type.

`kinds/` has one file a family of types, each ends in a tuple of Kinds; `registry` has them all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ledger.events import Data
from ledger.kinds.form import Form

Upcast = Callable[[Data], Data]
"""Makes the data of one type_version into the next one's; pure; may not guess."""


@dataclass(frozen=True)
class Kind:
    """One event type: where it stands, what it may contain, how older shapes become newer ones."""

    type: str
    """The type name, past tense: `PrisonersReleased`."""
    meaning: str
    """One line for templates and help."""
    category: str
    """What its streams begin with: `development`, `tally`, …"""
    family: str
    """Reports of one family may stand in one stream."""
    forms: tuple[Form, ...]
    """The form of each type_version, the first at index 0; the last is what is recorded now."""
    is_report: bool = True
    """Whether it is one source's statement, which can be corrected, retracted and ranked."""
    upcasts: tuple[Upcast, ...] = ()
    """Step i makes type_version i + 1 into i + 2."""
    written_by: str | None = None
    """The command that alone may write it, where a person may not hand it in."""

    @cached_property
    def type_version(self) -> int:
        """The type_version that is recorded now."""
        return len(self.forms)

    @cached_property
    def form(self) -> Form:
        """The form of what is recorded now."""
        return self.forms[-1]
