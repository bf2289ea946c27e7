"""Folding in several processes: parts go out, what folding them gave comes back in order.

Takes an engine and parts; hands on Folded for each. With one worker, or a database that other
processes cannot open, the parts are folded here. A worker is a fresh Python that imports what this
one would; it is told over a pipe which database, which projections and which parts, and ends when
the pipe does, however that comes about.
"""

import gc
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import IO, Any

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.folding.parts import Folded, Part, fold_part
from ledger.projections.projection import Projection
from ledger.store.connect import connect, file_of, reading

AHEAD = 2
"""Parts that each worker may be ahead of whoever takes them."""

FoldParts = Callable[[Iterable[Part]], Iterator[Folded]]
"""Folds each part, in order."""

_WORKER = """import sys
sys.path[:] = {path!r}
from ledger.folding.processes import work
work(sys.stdin.buffer, sys.stdout.buffer)"""


@contextmanager
def folding(
    engine: sa.Engine, projections: Sequence[Projection], workers: int
) -> Iterator[FoldParts]:
    """Return what folds parts for the projections that read their category."""
    if workers < 2 or not (engine.dialect.name == "postgresql" or file_of(engine)):
        yield lambda parts: (_fold(engine, projections, part) for part in parts)
        return
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(workers):
            worker = _Worker(engine, projections)
            stack.callback(worker.end)
            idle.put(worker)
        yield lambda parts: _in_order(pool, idle, parts, workers * AHEAD)


def work(source: IO[bytes], answers: IO[bytes]) -> None:
    """Be a worker: fold the parts that come in, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    gc.disable()  # a third of the time; what is folded holds no cycles, and a part frees its own
    try:
        url, projections = pickle.load(source)
        engine = connect(url)
        while True:
            part = pickle.load(source)
            answer: Folded | Exception
            try:
                answer = _fold(engine, projections, part)
            except Exception as failure:
                answer = failure
            _send(answers, answer)
    except (EOFError, BrokenPipeError):
        return


def _fold(engine: sa.Engine, projections: Sequence[Projection], part: Part) -> Folded:
    with reading(engine) as connection:
        return fold_part(connection, projections, part)


def _in_order(
    pool: ThreadPoolExecutor, idle: "SimpleQueue[_Worker]", parts: Iterable[Part], ahead: int
) -> Iterator[Folded]:
    def fold(part: Part) -> Folded:
        worker = idle.get()
        try:
            return worker.fold(part)
        finally:
            idle.put(worker)

    waiting: deque[Future[Folded]] = deque()
    try:
        for part in parts:
            waiting.append(pool.submit(fold, part))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


class _Worker:
    """One process that folds."""

    def __init__(self, engine: sa.Engine, projections: Sequence[Projection]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER.format(path=sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        url = engine.url.render_as_string(hide_password=False)
        _send(self._pipe(self._process.stdin), (url, tuple(projections)))

    def fold(self, part: Part) -> Folded:
        """Return what the worker folded; raises what it raised, CouldNot where it died."""
        try:
            _send(self._pipe(self._process.stdin), part)
            answer = pickle.load(self._pipe(self._process.stdout))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            raise CouldNot("fold the events", "a worker process ended unexpectedly") from None
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, Folded)
        return answer

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    @staticmethod
    def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
        assert stream is not None
        return stream


def _send(pipe: IO[bytes], message: Any) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()
