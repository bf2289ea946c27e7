"""Work in several processes: answers in order, what a worker raises, a worker that dies."""

import gc
import os
import signal
import time
from contextlib import closing

import pytest
import sqlalchemy as sa
from recording import recorded, release

from ledger.errors import CouldNot, NotFound
from ledger.folding import Part, fold_part
from ledger.processes import WorkerDied, aside, in_order
from ledger.projections.projection import Fold
from ledger.projections.releases import RELEASES
from ledger.store.connect import connect, reading

HERE = os.getpid()


def events_and_process(engine: sa.Engine, task: int) -> tuple[int, int, int]:
    """Return the task, the events of the ledger, and the process that counted them."""
    time.sleep(0.02 if task % 3 == 0 else 0)  # so that later tasks are done first
    with reading(engine) as connection:
        count = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
    return task, count, os.getpid()


def refusing(engine: sa.Engine, task: int) -> int:
    """Raise at the third task."""
    if task == 3:
        raise NotFound(f"task {task}", "ask for another")
    return task


def unable(engine: sa.Engine, task: int) -> None:
    """Raise what takes two words."""
    raise CouldNot("do a task", "it is too hard")


def dying(engine: sa.Engine, task: int) -> int:
    """Die at the third task, as for want of memory."""
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def test_who_is_interrupted_leaves_nothing_open(
    engine: sa.Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a part closes what it reads before it is disconnected: afterwards
    that would be a complaint beside the one word that the command says."""
    recorded(engine, release("a") + release("b"))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Fold, "take", interrupted)
    part = Part("development", "", None, 2, False, frozenset({RELEASES.name}))
    with pytest.raises(KeyboardInterrupt) as caught:
        fold_part([RELEASES], engine, part)
    engine.dispose()
    del caught  # and with it the frames that hold what was open
    gc.collect()

    assert caplog.records == []


@pytest.mark.parametrize("workers", [1, 3])
def test_answers_come_in_order(engine: sa.Engine, workers: int) -> None:
    """Whoever does a task, and whenever it is done, the answers come in the order of the tasks."""
    answers = list(in_order(engine, events_and_process, range(12), workers))

    assert [task for task, _, _ in answers] == list(range(12))
    assert {count for _, count, _ in answers} == {0}
    assert (HERE in {process for _, _, process in answers}) == (workers == 1)


def test_who_waits_can_work(engine: sa.Engine) -> None:
    """This process can be one of the workers: it begins while the others start."""
    tasks = range(3, 9_000, 3)  # each of them waits, so that the other comes up meanwhile
    processes: list[int] = []
    with closing(in_order(engine, events_and_process, tasks, 2, here=True)) as answers:
        for expected, (task, _, process) in zip(tasks, answers, strict=False):
            assert task == expected
            processes.append(process)
            if process != HERE:
                break

    assert (processes[0], len(set(processes))) == (HERE, 2)


@pytest.mark.parametrize("here", [False, True])
def test_who_waits_and_works_hears_of_refusals(sqlite_database: str, here: bool) -> None:
    """A refusal is the same whoever did the task, and ends the work."""
    answers = in_order(connect(sqlite_database), refusing, range(9), 2, here=here)

    assert [next(answers), next(answers), next(answers)] == [0, 1, 2]
    with pytest.raises(NotFound, match="task 3"):
        next(answers)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_done_aside(engine: sa.Engine, workers: int) -> None:
    """What is done aside is handed over, or its refusal raised, when it is asked for."""
    with aside(engine, lambda engine: events_and_process(engine, 1), workers) as asked:
        assert asked() == (1, 0, HERE)
    with aside(engine, lambda engine: refusing(engine, 3), workers) as asked, \
            pytest.raises(NotFound, match="task 3"):
        asked()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_worker_raises_is_raised(sqlite_database: str, workers: int) -> None:
    """A refusal in a worker is the same refusal here, after the answers before it."""
    answers = in_order(connect(sqlite_database), refusing, range(9), workers)

    assert [next(answers), next(answers), next(answers)] == [0, 1, 2]
    with pytest.raises(NotFound, match=r"^task 3 is not in this ledger: ask for another$"):
        next(answers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_refusal_of_several_words_is_raised(sqlite_database: str, workers: int) -> None:
    """What a worker refuses is worded once, and can be asked for what and why."""
    with pytest.raises(CouldNot, match=r"^could not do a task: it is too hard$") as refusal:
        list(in_order(connect(sqlite_database), unable, range(9), workers))
    assert (refusal.value.what, refusal.value.why) == ("do a task", "it is too hard")


def test_a_worker_that_dies_is_noticed(sqlite_database: str) -> None:
    """A worker that is killed ends the work with its own refusal, and hangs nobody."""
    with pytest.raises(WorkerDied, match="ended unexpectedly"):
        list(in_order(connect(sqlite_database), dying, range(9), 2))


def test_a_database_in_memory_is_worked_on_here() -> None:
    """A database that no other process can open is not handed to one."""
    assert list(in_order(connect("sqlite://"), refusing, range(3), 4)) == [0, 1, 2]


def test_who_stops_early_ends_the_workers(sqlite_database: str) -> None:
    """Whoever closes the generator leaves no process behind."""
    with closing(in_order(connect(sqlite_database), events_and_process, range(99), 2)) as answers:
        _, _, worker = next(answers)
        assert worker != HERE
    assert not is_running(worker)


def is_running(process: int) -> bool:
    """Return whether the process is there to be signalled."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
