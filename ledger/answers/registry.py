"""All questions that can be asked, each with the projection behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ledger.answers.answer import Answer, Row
from ledger.answers.coded_events import PLACE, coded_events
from ledger.answers.disputes import disputes
from ledger.answers.exchanges import exchanges
from ledger.answers.people import people
from ledger.answers.releases import BY, CITIZENSHIPS, COUNTS, releases
from ledger.answers.sanctions import sanctions
from ledger.answers.talks import talks
from ledger.answers.tallies import tallies
from ledger.projections.coded_events import CODED_EVENTS
from ledger.projections.disputes import DISPUTES, dispute_parties
from ledger.projections.exchanges import EXCHANGES
from ledger.projections.merges import MERGES, PERSONS
from ledger.projections.people import PEOPLE
from ledger.projections.people import people as people_table
from ledger.projections.projection import Projection
from ledger.projections.releases import RELEASES
from ledger.projections.releases import releases as releases_table
from ledger.projections.sanctions import SANCTIONS
from ledger.projections.talks import TALKS, talk_parties
from ledger.projections.tallies import TALLIES
from ledger.projections.tallies import tallies as tallies_table


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
    projections: tuple[Projection, ...]
    """Those whose tables it reads."""
    key: tuple[str, ...]
    """What tells the rows of one answer apart: of these fields, those that they have."""
    party: sa.Column[Any] | None = None
    """Where the organisations stand that `state` may name beside countries."""
    examples: tuple[str, ...] = ()
    """Further command lines for the help page."""
    compared: tuple[Row, ...] = ({},)
    """The parameters with which two of its answers are compared, each in turn."""
    not_compared: tuple[str, ...] = ()
    """Fields that take longer to put together than the answer; what else a row says tells."""
    of_persons: tuple[Projection, ...] = ()
    """Those that it reads, too, where it matters who of several releases are the same."""

    def reads(self, parameters: Row) -> tuple[Projection, ...]:
        """Return the projections that it reads when it is asked with these parameters."""
        chosen = parameters.get("count"), parameters.get("citizenships")
        asks_who = chosen[0] == COUNTS[1] or chosen[1] == CITIZENSHIPS[1]
        return (*self.projections, *(self.of_persons if asks_who else ()))


QUESTIONS: tuple[Question, ...] = (
    Question("releases", "How many people were freed, at least and at most?", releases,
             ("by", "state", "development", "since", "until", "stage", "count", "reversals",
              "citizenships"), (RELEASES, MERGES), BY,
             releases_table.c.released_by,
             ("ledger answer releases --state BY --since 2025-11-01",
              "ledger answer releases --by day --state Belarus --format csv"),
             ({"by": "state"}, {"by": "citizenship"}), of_persons=(PERSONS,)),
    Question("tallies", "What do sources claim as totals, against what the ledger derives?",
             tallies, ("state", "count", "reversals"), (TALLIES, RELEASES, MERGES), ("position",),
             tallies_table.c.state,
             ("ledger answer tallies --state Belarus",
              "ledger answer tallies --state Belarus --count persons --reversals net"),
             not_compared=("developments",), of_persons=(PERSONS,)),
    Question("disputes", "Which developments have reports that contradict each other?", disputes,
             ("state", "development"), (DISPUTES, MERGES), ("development", "type", "stage"),
             dispute_parties.c.party,
             ("ledger answer disputes --state Belarus",)),
    Question("coded_events", "How many coded events are there, per month and pair of actors?",
             coded_events, ("development", "since", "until", "stage"), (CODED_EVENTS, MERGES),
             PLACE, None,
             ("ledger answer coded_events --since 2025-01 --until 2025-12",)),
    Question("sanctions", "Which measures are at which stage on which day?", sanctions,
             ("target_state", "development"), (SANCTIONS, MERGES),
             ("development", "target", "way"), None,
             ("ledger answer sanctions --state BY --valid-at 2025-12-13",)),
    Question("talks", "Who talked with whom, when and in which form?", talks,
             ("party", "development"), (TALKS, MERGES), ("development", "stage"),
             talk_parties.c.party,
             ("ledger answer talks --state BY",)),
    Question("exchanges", "What was given in return for what, who says so, who denies it?",
             exchanges, ("development",), (EXCHANGES, MERGES), ("development", "link", "to")),
    Question("people", "Who is detained, ordered free, free, or back in custody?", people,
             ("state", "development"), (PEOPLE, MERGES, PERSONS), ("person",),
             people_table.c.held_by,
             ("ledger answer people --state BY --valid-at 2025-09-16",)),
)
