"""Processes that run `ledger schedule run` side by side, some of which are killed.

Takes a database and a folder; hands on what each process logged. Each slot that a process starts,
and each that it ends, is a line of its log.
"""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from command_line import command, environment

HUNG = 60
"""Seconds after which a test gives up."""


class Scheduler:
    """One process, and what it has logged."""

    def __init__(self, folder: Path, name: str, database: str) -> None:
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command("schedule", "run", "--db", database), env=environment(), stderr=log,
                stdout=subprocess.DEVNULL, cwd=folder,
            )

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the whole lines about one kind of thing; each line is a JSON object."""
        lines = self._log.read_text("utf-8").split("\n")[:-1]
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def started(self, name: str) -> list[str]:
        """Return the slots of a schedule that the process started, in order."""
        return [line["slot"] for line in self.logged("started") if line["name"] == name]

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(HUNG)

    def stop(self) -> int:
        """Ask the process to end, and return how it did."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(HUNG)


class Crew:
    """All schedulers of one ledger: the two that run, and those that were killed."""

    def __init__(self, folder: Path, database: str) -> None:
        self._folder, self._database = folder, database
        self.all: list[Scheduler] = []

    def add(self) -> Scheduler:
        """Start one more process."""
        scheduler = Scheduler(self._folder, f"scheduler-{len(self.all)}", self._database)
        self.all.append(scheduler)
        return scheduler

    @property
    def running(self) -> int:
        """How many processes run now."""
        return len(self._alive)

    @property
    def leader(self) -> Scheduler:
        """The process that leads now; waits until one does."""
        alive = self._alive
        wait_until(lambda: any(one.logged("leading") for one in alive))
        (leader,) = (one for one in alive if one.logged("leading"))
        return leader

    @property
    def standing_by(self) -> bool:
        """Whether a process waits for the lead."""
        return any(one.logged("standing by") and not one.logged("leading") for one in self._alive)

    @property
    def _alive(self) -> list[Scheduler]:
        return [one for one in self.all if one.process.poll() is None]


@contextmanager
def crew(folder: Path, database: str) -> Iterator[Crew]:
    """Start schedulers as they are asked for; those that still run at the end are killed."""
    found = Crew(folder, database)
    try:
        yield found
    finally:
        for scheduler in found.all:
            scheduler.kill()


def wait_until(holds: Callable[[], object]) -> None:
    """Return when it holds; fail when it seems that it never will."""
    give_up = time.monotonic() + HUNG
    while not holds():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.05)
