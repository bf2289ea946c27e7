"""Events that this version cannot read stop the projections of their streams, and no others."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
import tampering as t
from command_line import empty_folder, record_article, run
from recording import SOURCE, record_example, recorded, release

from ledger.book import now
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import catch_up, rebuild_all
from ledger.run import Run
from ledger.store.connect import connect

TALLY = f"""
kind: TallyReported
tally: by-held
by: Belarus
of: held
measure: stock
when: 2025-12-14
total: 1100
provenance: {SOURCE}
"""
LATER = [{"type": "PrisonersTraded"}, {"type_version": 9}]


def stops(runs: Sequence[Run]) -> dict[str, tuple[str, int | None]]:
    """Return outcome and position of each run."""
    return {run.projection: (run.outcome, run.stalled_at) for run in runs}


@pytest.mark.parametrize("fields", LATER, ids=["type", "version"])
def test_events_of_a_later_version(engine: sa.Engine, fields: dict[str, object]) -> None:
    """What a later version recorded stops the projections that read it; the others go on."""
    record_example(engine, "article")
    rebuild_all(engine, PROJECTIONS, now)
    recorded(engine, release("a-later-one"))
    t.unguard(engine)
    before = t.entry_at(engine, 14)
    t.rewrite(engine, 14, fields)
    recorded(engine, TALLY)

    for runs in (
        [catch_up(engine, projection, now) for projection in PROJECTIONS],
        [catch_up(engine, projection, now) for projection in PROJECTIONS],
        rebuild_all(engine, PROJECTIONS, now),
        rebuild_all(engine, PROJECTIONS, now, check=True),
    ):
        reached = stops(runs)
        for other in ("tallies", "persons"):
            assert reached.pop(other) == ("ok", None)
        assert len(reached) == 8
        if runs[0].how != "check":  # which folds up to where the tables are
            assert set(reached.values()) == {("stalled", 14)}
    t.rewrite(engine, 14, before)
    done = [catch_up(engine, projection, now) for projection in PROJECTIONS]
    assert {run.outcome for run in done} == {"ok"}
    assert {run.position for run in done} == {15}


def test_several_of_them(engine: sa.Engine) -> None:
    """The first of them counts, in whatever order the streams are read."""
    for name in "zyxab":
        recorded(engine, release(name))
    t.unguard(engine)
    for position in (2, 4, 3):
        t.rewrite(engine, position, {"type": "PrisonersTraded"})
    for done in rebuild_all(engine, PROJECTIONS, now):
        wanted = (None, 5) if done.projection in ("tallies", "persons") else (2, 1)
        assert (done.stalled_at, done.position) == wanted


def test_an_answer_says_what_stopped_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside an answer that lacks events stands at which one its projection stopped, and why."""
    empty_folder(tmp_path, monkeypatch)
    record_article()
    run("projections", "rebuild")
    engine = connect("ledger.db")
    recorded(engine, release("a-later-one"))
    said = run("answer", "releases").stderr
    assert "1 event was recorded" in said
    assert "`ledger projections catch-up` takes them in" in said
    t.unguard(engine)
    t.rewrite(engine, 14, {"type": "PrisonersTraded"})
    run("projections", "catch-up", code=1)
    for command in (("answer", "releases"), ("explain", "releases"), ("diff", "--from", "1")):
        said = " ".join(run(*command).stderr.split())
        assert "releases stopped at position 14: UnreadableEvent" in said
        assert "does not know the type PrisonersTraded" in said
        assert "takes them in" not in said
    engine.dispose()
