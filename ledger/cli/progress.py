"""How far long work is: a bar on stderr where a terminal watches.

Takes what is done and how much there is; hands on what the work tells its progress to.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ledger.cli.output import watched

Show = Callable[[int, int | None], object]
"""Is told how many events are done, of how many; None: of as many as was said at first."""


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Show]:
    """Show a bar with the rate and the time left for as long as the work goes on."""
    if not watched(sys.stderr):
        yield lambda done, of: None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} events"),
        _Rate(), TimeElapsedColumn(), TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done, of: bar.update(task, completed=done, total=total if of is None else of)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Return how many are done in a second; nothing until that is known."""
        return Text("" if task.speed is None else f"{task.speed:,.0f}/s")
