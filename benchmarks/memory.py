"""How much memory work takes, in this process and in those under it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def watching() -> Iterator[dict[int, float]]:
    """Note the most memory (MiB) that this process and each process under it has, by its number."""
    most: dict[int, float] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.1):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
                except (OSError, ValueError):
                    continue  # it has just ended
                process, parent = int(fields["Pid"]), int(fields["PPid"])
                if os.getpid() in (process, parent) and "VmRSS" in fields:
                    resident = int(fields["VmRSS"].split()[0]) / 1024
                    most[process] = max(resident, most.get(process, 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()
