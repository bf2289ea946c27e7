"""All questions that can be asked, each with the projection behind it."""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.answers.answer import Answer
from ledger.answers.releases import releases
from ledger.projections.projection import Projection
from ledger.projections.releases import RELEASES


@dataclass(frozen=True)
class Question:
    """One question: its name, what it asks, and the function that answers it."""

    name: str
    asks: str
    """One sentence for help pages."""
    answer: Callable[..., Answer]
    """Takes a connection and the parameters by name."""
    parameters: tuple[str, ...]
    """Which of the parameters in `cli.answer.OPTIONS` it takes, beside as_of and valid_at."""
    projection: Projection
    examples: tuple[str, ...] = ()
    """Further command lines for the help page."""


QUESTIONS: tuple[Question, ...] = (
    Question("releases", "How many people were freed, at least and at most?", releases,
             ("by", "state", "since", "until", "stage"), RELEASES,
             ("ledger answer releases --state BY --since 2025-11-01",
              "ledger answer releases --by day --state Belarus --format csv")),
)
