"""Files and folders beside databases: heads that were signed, exports.

Takes paths and bytes; hands on files that are on disk as a whole when they have their name, and a
folder that one process holds at a time.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, raw: bytes, by_way_of: Path, *, durable: bool = True) -> None:
    """Write a file that nobody ever sees half; killed on the way, what was there stays.

    It is written at `by_way_of`, on the same disk, and moved. On disk when this returns; without
    `durable` when the caller has synced.
    """
    with by_way_of.open("wb") as file:
        file.write(raw)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    by_way_of.replace(path)
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in the folder are on disk."""
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


@contextmanager
def holding(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold a folder against other processes that hold it; raises BlockingIOError unless it waits.

    Free again when its holder ends, however that comes about.
    """
    import fcntl

    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
