"""Work in several processes: tasks go out, what became of each comes back in order.

Takes an engine, a function and tasks; hands on an answer for each task. With one worker, or a
database that other processes cannot open, the work is done here. A worker is a fresh Python that
imports what this one would (a fork would take over connections and threads that it cannot use, and
`multiprocessing` would run the script that asked again), so it is given nothing before it says that
it is there. It is told over a pipe which database, which function and which tasks, and ends when
the pipe does, however that comes about. Whoever has nothing to do but to wait for the answers can
be one of the workers, in a thread: then one fewer has to start.
"""

import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from queue import SimpleQueue
from typing import IO, Any, TypeVar

import sqlalchemy as sa

from ledger.errors import CouldNot
from ledger.store.connect import connect, file_of

AHEAD = 2
"""Tasks that each worker may be ahead of whoever takes the answers, where these are large."""

Task = TypeVar("Task")
Answer = TypeVar("Answer")

_WORKER = """import sys
sys.path[:] = {path!r}
from ledger.processes import serve
serve(sys.stdin.buffer, sys.stdout.buffer)"""


class WorkerDied(CouldNot):
    """A worker process ended before its work did: killed, or short of memory."""

    def __init__(self) -> None:
        super().__init__("finish the work", "a worker process ended unexpectedly")


def in_order(
    engine: sa.Engine,
    work: Callable[[sa.Engine, Task], Answer],
    tasks: Iterable[Task],
    workers: int,
    *,
    here: bool = False,
    ahead: int = AHEAD,
) -> Generator[Answer, None, None]:
    """Yield what `work` returns for each task, in order; raises what it raises, and WorkerDied.

    The function and the tasks must be picklable. With `here` this process is one of the workers.
    Each worker may be so many tasks `ahead`: more where the answers are small and some tasks long.
    Whoever does not take all answers closes the generator, which ends the workers.
    """
    if workers < 2 or not is_shared(engine):
        for task in tasks:
            yield work(engine, task)
        return
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(workers))
        idle: _Idle = SimpleQueue()
        if here:
            idle.put(partial(work, engine))
        for _ in range(workers - here):
            worker = stack.enter_context(closing(_Worker(engine, work)))
            pool.submit(_await, worker, idle)
        waiting: deque[Future[Any]] = deque()
        stack.callback(lambda: [future.cancel() for future in waiting])
        for task in tasks:
            waiting.append(pool.submit(_ask, idle, task))
            if len(waiting) >= workers * ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def aside(
    engine: sa.Engine, work: Callable[[sa.Engine], Answer], workers: int
) -> Iterator[Callable[[], Answer]]:
    """Yield a function that returns what `work` does, and raises what it raises.

    With several workers it is done from now on, in a thread: right for what the database does
    alone, in one long statement. Otherwise it is done when it is asked for.
    """
    if workers < 2 or not is_shared(engine):
        yield partial(work, engine)
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(work, engine).result


def is_shared(engine: sa.Engine) -> bool:
    """Return whether another process can open the database."""
    return engine.dialect.name == "postgresql" or file_of(engine) is not None


def serve(source: IO[bytes], answers: IO[bytes]) -> None:
    """Be a worker: do the tasks that come in, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who started it
    try:
        url, work = pickle.load(source)
        engine = connect(url)
        _send(answers, None)  # it is there
        while True:
            task = pickle.load(source)
            try:
                answer = work(engine, task)
            except Exception as failure:
                answer = failure
            _send(answers, answer)
    except (EOFError, BrokenPipeError):
        return


_Idle = SimpleQueue[Callable[[Any], Any]]
"""Whoever can do a task now."""


def _await(worker: "_Worker", idle: _Idle) -> None:
    try:
        worker.answer()
    finally:
        idle.put(worker.do)  # also a dead one, which says so when it is asked


def _ask(idle: _Idle, task: object) -> Any:
    do = idle.get()
    try:
        return do(task)
    finally:
        idle.put(do)


class _Worker:
    """One process that works."""

    def __init__(self, engine: sa.Engine, work: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER.format(path=sys.path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        _send(_open(self._process.stdin), (engine.url.render_as_string(hide_password=False), work))

    def do(self, task: object) -> Any:
        """Return what came of the task; raises what it raised, WorkerDied where there is none."""
        try:
            _send(_open(self._process.stdin), task)
        except BrokenPipeError:
            raise WorkerDied from None
        return self.answer()

    def answer(self) -> Any:
        """Wait for what it says next; return or raise it, as in `do`."""
        try:
            answer = pickle.load(_open(self._process.stdout))
        except (EOFError, pickle.UnpicklingError):
            raise WorkerDied from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _send(pipe: IO[bytes], message: object) -> None:
    pickle.dump(message, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()
