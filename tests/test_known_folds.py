"""What was folded before: a rebuild does not fold it again, and notices all that a fold would."""

import os
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from recording import all_of, recorded, release
from tampering import rewrite, run, unguard

from ledger import folding
from ledger import rebuild as rebuild_room
from ledger.book import now
from ledger.developments import Live
from ledger.events import RecordedEvent
from ledger.projections import code
from ledger.projections.code import code_of, digest_of_files
from ledger.projections.projection import Fold, Projection, Said
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, of_step, releases
from ledger.rebuild import catch_up, rebuild, rebuild_all
from ledger.run import Run
from ledger.store.connect import reading
from ledger.store.folds import Folds, read_ends, read_folds
from ledger.store.read import read_events, read_stream, stream_marks
from ledger.work import Work

STREAM = "development/by-release-2025-12-13"


def folded(runs: list[Run]) -> list[int]:
    """How many events each of them folded."""
    return [done.folded for done in runs]


def test_what_was_folded_is_not_folded_again(built: sa.Engine) -> None:
    """Whether the tables were built or compared, the next rebuild and the next check read all
    events, fold none, and have the digest and number of rows of one that folds all of them."""
    anew = rebuild_all(built, PROJECTIONS, now, check=True, anew=True)
    assert folded(anew) == [done.events for done in anew]
    assert sum(folded(anew)) > all_of(built)
    for check in (False, True):
        again = rebuild_all(built, PROJECTIONS, now, check=check)
        assert folded(again) == [0] * len(PROJECTIONS)
        for one, other in zip(again, anew, strict=True):
            assert one.outcome == "ok"
            assert (one.events, one.rows, one.digest) == (other.events, other.rows, other.digest)


@pytest.mark.parametrize("events", [3, 7, 1_000])
def test_only_the_piece_with_news_is_folded(
    built: sa.Engine, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """After something new in one stream its piece is folded once, by the first rebuild that has it
    behind its checkpoint; no other is, however many of them are read at once."""
    monkeypatch.setattr(folding, "EVENTS", events)
    rebuild(built, RELEASES, now)
    recorded(built, release("by-release-2025-12-13", total=123))
    catch_up(built, RELEASES, now)
    with reading(built) as connection:
        own = len(read_stream(connection, STREAM))

    done = rebuild(built, RELEASES, now)
    assert (done.outcome, done.position) == ("ok", all_of(built))
    assert own <= done.folded < own + 2 * 3
    assert rebuild(built, RELEASES, now).folded == 0


def test_what_is_built_later_has_the_same_pieces(built: sa.Engine) -> None:
    """A projection that is built when the log has grown is divided as the others are, so that those
    need not be folded again; nor where one of them alone is folded anew."""
    for number in range(9):
        recorded(built, release(f"by-release-2025-12-13-{number}"))
    others = [projection for projection in PROJECTIONS if projection != RELEASES]
    for _ in range(2):
        rebuild_all(built, others, now)
    run(built, "DROP TABLE releases")
    rebuild(built, RELEASES, now)
    assert folded(rebuild_all(built, PROJECTIONS, now)) == [0] * len(PROJECTIONS)
    rebuild(built, RELEASES, now, anew=True)
    assert folded(rebuild_all(built, PROJECTIONS, now)) == [0] * len(PROJECTIONS)


def test_parts_stay_where_they_ended(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that comes in between two others leaves the ends of the other parts as they were,
    and a part that has grown beyond twice its size is divided."""
    with reading(built) as connection:
        before = list(stream_marks(connection, "development", 3))
    assert len(before) > 3
    for number in range(9):
        recorded(built, release(f"{before[1].removeprefix('development/')}-{number}"))
    with reading(built) as connection:
        after = list(stream_marks(connection, "development", 3, before))

    assert set(before) < set(after)
    assert [mark for mark in after if before[1] < mark < before[2]] == [
        f"{before[1]}-{number}" for number in (2, 5)
    ]


def test_a_changed_row_is_found(built: sa.Engine) -> None:
    """A row that somebody changed, took away or added is drift, and its piece alone is folded."""
    columns = ", ".join(column.name for column in releases.c if column.name != "stream")
    copy = f"INSERT INTO releases (stream, {columns}) SELECT 'development/a', {columns}"
    for meddling in (
        f"UPDATE releases SET low = 1000 WHERE stream = '{STREAM}' AND position_until IS NULL",
        f"UPDATE releases SET disputed = NOT disputed WHERE stream = '{STREAM}'",
        f"DELETE FROM releases WHERE stream = '{STREAM}'",
        f"{copy} FROM releases WHERE stream = '{STREAM}' AND position_until IS NULL",
    ):
        run(built, meddling)
        for check in (True, False):
            done = rebuild(built, RELEASES, now, check=check)
            assert (done.outcome, done.drifts[0].table) == ("drift", "releases")
            assert 0 < done.folded < done.events
        assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "ok"


def test_a_changed_entry_is_folded(built: sa.Engine) -> None:
    """Entries that are not what they were, as on a disk that was put back, are folded, and give
    what they say now."""
    with reading(built) as connection:
        event = max(
            (event for event in read_events(connection) if event.stream == STREAM),
            key=lambda event: event.stream_version,
        )
    unguard(built)
    rewrite(built, event.position, {"data": {**event.data, "stage": "ordered"}})

    done = rebuild(built, RELEASES, now)
    assert done.outcome == "drift"
    assert 0 < done.folded < done.events
    stages = {(drift.live or {}).get("stage") for drift in done.drifts}
    assert stages != {(drift.rebuilt or {}).get("stage") for drift in done.drifts}
    assert rebuild(built, RELEASES, now, check=True, anew=True).outcome == "ok"


def test_other_code_folds_everything(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of the package folded is folded again."""
    monkeypatch.setattr(code, "_CODE", "another")
    code_of.cache_clear()
    done = rebuild(built, RELEASES, now)
    monkeypatch.undo()
    code_of.cache_clear()

    assert done.folded == done.events
    assert rebuild(built, RELEASES, now, check=True).folded == done.events


def of_nobody(live: Live) -> Said:
    """A fold that is in no package."""
    return of_step(live)


class Mine(Projection):
    """A projection of another kind."""


def test_others_projections_are_always_folded(built: sa.Engine) -> None:
    """Of a class that is not the package's nobody knows what it does."""
    mine = Mine(**{field.name: getattr(RELEASES, field.name) for field in fields(RELEASES)})
    for _ in range(2):
        done = rebuild(built, mine, now)
        assert (done.outcome, done.folded) == ("ok", done.events)


@pytest.mark.parametrize("of_step", [of_nobody, partial(of_nobody), lambda live: of_step(live)])
def test_others_folds_are_always_folded(
    built: sa.Engine, of_step: Callable[[Live], Said]
) -> None:
    """Of a function that is not in the package nobody knows what it rests on."""
    theirs = replace(RELEASES, of_step=of_step)
    assert code_of(theirs) is None
    for _ in range(2):
        done = rebuild(built, theirs, now)
        assert (done.outcome, done.folded) == ("ok", done.events)


def test_code_is_all_that_a_fold_rests_on(tmp_path: Path) -> None:
    """Another digest for each projection, for another version, question or table of it, and for
    any other byte or name of a file, compiled ones where there is no source; hidden files do not
    count, nor what Python keeps compiled, nor what is no file."""
    others = [
        replace(RELEASES, version=99), replace(RELEASES, reports=frozenset({"TalksHeld"})),
        replace(RELEASES, of_ties=PROJECTIONS[-1].of_ties), replace(RELEASES, of_step=None),
        replace(RELEASES, tables=RELEASES.tables[:1]), replace(RELEASES, category="tally"),
    ]
    digests = {code_of(projection) for projection in (*PROJECTIONS, *others)}
    assert None not in digests
    assert len(digests) == len(PROJECTIONS) + len(others)

    (tmp_path / "room").mkdir()
    told = []
    for name, text in (
        ("a.py", "1"), ("a.py", "2"), ("room/b.py", "2"), ("names.tsv", ""), ("c.pyc", "1"),
        ("c.pyc", "2"),
    ):
        (tmp_path / name).write_text(text)
        told.append(digest_of_files(tmp_path))
    (tmp_path / "names.tsv").rename(tmp_path / "name.tsv")
    told.append(digest_of_files(tmp_path))
    assert len(set(told)) == len(told)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"3")
    (tmp_path / ".#a.py").symlink_to("me@host.1:2")
    (tmp_path / "self").symlink_to(".")
    (tmp_path / "gone.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.py")
    assert digest_of_files(tmp_path) == told[-1]


def known_of(engine: sa.Engine, projection: Projection) -> Folds:
    """What is known of a projection."""
    with reading(engine) as connection:
        return read_folds(connection, [projection.name], "", "~")


def test_a_stalled_piece_is_not_known(built: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an event could not be applied, its piece is folded until it can be."""
    recorded(built, release("by-release-2025-12-13", total=123))
    catch_up(built, RELEASES, now)
    take = Fold.take

    def refuse(fold: Fold, stream: str, events: list[RecordedEvent]) -> None:
        if stream == STREAM:
            fold.stall([RELEASES], events[-1].position, ValueError("no"))
        else:
            take(fold, stream, events)

    facts = known_of(built, RELEASES)
    with monkeypatch.context() as patch:
        patch.setattr(Fold, "take", refuse)
        for _ in range(2):
            stalled = rebuild(built, RELEASES, now)
            assert (stalled.outcome, stalled.stalled_at) == ("stalled", all_of(built))
            assert 0 < stalled.folded < stalled.events

    assert known_of(built, RELEASES) == facts
    mended = rebuild(built, RELEASES, now)
    assert (mended.outcome, mended.folded) == ("ok", stalled.folded)
    assert known_of(built, RELEASES) != facts
    assert rebuild(built, RELEASES, now).folded == 0


def test_what_is_learned_is_kept_on_the_way(
    built: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild holds little of what it learns, and what it has kept is known after a crash."""
    run(built, "DELETE FROM folds")
    held: list[int] = []
    keep, finish = Work.keep, rebuild_room._finish

    def watch(work: Work, connection: sa.Connection) -> None:
        held.append(len(work.learned))
        keep(work, connection)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Work, "keep", watch)
    monkeypatch.setattr(rebuild_room, "LEARNED", 4)
    monkeypatch.setattr(rebuild_room, "_finish", crash)
    with pytest.raises(KeyboardInterrupt):
        rebuild(built, RELEASES, now)
    monkeypatch.setattr(rebuild_room, "_finish", finish)
    done = rebuild(built, RELEASES, now)
    assert max(held) < 4 + 7
    assert 0 < done.folded < done.events / 2


def test_a_check_leaves_what_is_known(
    built: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check needs no right to write what is known, and takes nothing from those who wrote it,
    however much it learns."""
    monkeypatch.setattr(rebuild_room, "LEARNED", 0)
    run(built, "DELETE FROM folds WHERE projection = 'releases'")
    for anew in (False, True, False):
        checked = rebuild(built, RELEASES, now, check=True, anew=anew)
        assert checked.folded == checked.events
        assert rebuild(built, PROJECTIONS[1], now, check=True, anew=anew).outcome == "ok"
    assert not known_of(built, RELEASES)
    assert known_of(built, PROJECTIONS[1])


def test_no_category_has_ends_of_another(built: sa.Engine) -> None:
    """Each part knows where its own pieces ended before, and no part knows of another's."""
    with reading(built) as connection:
        every = list(folding.parts(connection, PROJECTIONS, all_of(built), compare=True))
        ends = read_ends(connection)
    known = [end for part in every for end in part.ends]
    assert len(known) == len({*known}) > 2
    assert {*known} <= {*ends}
    assert all(part.start < end < part.end for part in every for end in part.ends)
