"""The digest of a rebuild: what the events say, whoever folds them, how and in which order."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from command_line import closing, data_of, empty_folder, record_article, run
from recording import page_by_page, record_example, recorded, release

from ledger import folding
from ledger import rebuild as rebuild_room
from ledger.book import now
from ledger.projections.projection import Fold, Projection, columns_of
from ledger.projections.registry import PROJECTIONS
from ledger.projections.releases import RELEASES, releases
from ledger.rebuild import catch_up, rebuild, rebuild_all
from ledger.store.connect import changing, reading
from ledger.store.runs import last_rebuild


def naive(engine: sa.Engine, projection: Projection) -> str:
    """Return the digest of what the live tables hold, as the documents say it."""
    lines = []
    for table in sorted(projection.tables, key=lambda table: table.name):
        total = 0
        with reading(engine) as connection:
            for row in connection.execute(sa.select(*(table.c[c] for c in columns_of(table)))):
                text = json.dumps([*row], ensure_ascii=False, separators=(",", ":"))
                total += int(sha256(text.encode()).hexdigest(), 16)
        lines.append(f"{table.name} {total % 2**256:064x}\n")
    return sha256("".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("events", [1, 7, folding.EVENTS])
def test_a_digest_is_of_the_rows(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, events: int
) -> None:
    """The digest is that of the rows in the live tables, however many events make a part, in a
    first build, in a rebuild beside live tables and in a check."""
    monkeypatch.setattr(folding, "EVENTS", events)
    monkeypatch.setattr(folding, "PIECE", events)
    monkeypatch.setattr(rebuild_room, "EVENTS", events)
    record_example(engine, "wider")
    for check in (False, False, True):
        runs = rebuild_all(engine, PROJECTIONS, now, check=check)
        digests = [one.digest for one in runs]
        assert digests == [naive(engine, projection) for projection in PROJECTIONS]
        assert len({*digests}) == len(PROJECTIONS)


def test_a_rebuild_that_catches_up_has_the_digest_of_the_head(engine: sa.Engine) -> None:
    """Whatever was recorded since the checkpoint, also in streams that drifted, the digest is that
    of all events, as are their number and that of the rows: what the changed streams said before is
    taken out of it."""
    for number, _ in enumerate(page_by_page(engine)):
        if number % 3 == 1:
            with changing(engine) as connection:
                connection.execute(sa.update(releases).values(low=99))
        (run, *_) = rebuild_all(engine, PROJECTIONS, now)
        assert (run.outcome == "drift") == (number % 3 == 1)
        assert run.digest == naive(engine, RELEASES)
        again = rebuild(engine, RELEASES, now, check=True)
        assert (run.events, run.rows) == (again.events, again.rows)
        assert 0 <= run.folded <= run.events


def test_tables_that_are_made_anew_have_it_too(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where so much drifted that the tables are replaced, their rows are counted once."""
    record_example(engine, "article")
    right = rebuild(engine, RELEASES, now).digest
    with changing(engine) as connection:
        connection.execute(sa.update(releases).values(low=99))
    monkeypatch.setattr("ledger.work.MENDED_IN_PLACE", 0)

    drifted = rebuild(engine, RELEASES, now)

    assert (drifted.outcome, drifted.digest) == ("drift", right)
    assert naive(engine, RELEASES) == right


def test_a_run_without_all_rows_has_no_digest(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A catch-up folds what changed only, and a stalled rebuild what it can: neither has one."""
    record_example(engine, "article")
    built = rebuild(engine, RELEASES, now)
    recorded(engine, release("later"))
    assert catch_up(engine, RELEASES, now).digest is None

    with monkeypatch.context() as patch:
        patch.setattr(Fold, "take", _refuse)
        stalled = rebuild(engine, RELEASES, now)

    assert (stalled.outcome, stalled.digest) == ("stalled", None)
    with reading(engine) as connection:
        remembered = last_rebuild(connection, "releases")
    assert remembered is not None
    assert (remembered.digest, remembered.position) == (built.digest, built.position)


def _refuse(fold: Any, stream: str, events: list[Any]) -> None:
    fold.stall(PROJECTIONS, events[0].position, ValueError("no"))


@pytest.fixture
def article(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The article's reports are recorded in ./ledger.db, and the answer tables are filled."""
    empty_folder(tmp_path, monkeypatch)
    record_article()


@pytest.mark.usefixtures("article")
def test_the_commands_tell_it() -> None:
    """`rebuild` and `status` say the digest and its position as JSON; a table has no room."""
    (built,) = data_of("projections", "rebuild", "releases")
    told = data_of("projections", "status")

    assert len(built["digest"]) == 64
    assert (told[0]["digest"], told[0]["digest_at"]) == (built["digest"], built["position"])
    assert {row["digest"] for row in told[1:]} == {None}
    assert data_of("projections", "rebuild", "releases", "--check")[0]["digest"] == built["digest"]
    assert "digest" not in run("projections", "rebuild", "releases").stdout
    assert "digest" not in run("projections", "status").stdout


@pytest.mark.usefixtures("article")
def test_a_scheduled_run_has_what_the_projections_did() -> None:
    """`schedule runs` as JSON has, for each run, the events, rows, digest and drift of every
    projection that ran meanwhile, and nothing of other times."""
    Path("ledger.toml").write_text(
        '[[schedule]]\nname = "nightly"\ncommand = "projections rebuild releases"\nevery = 86400\n'
    )
    run("projections", "rebuild")
    with closing("ledger.db") as connection:
        connection.execute("UPDATE releases SET low = 7")
    run("schedule", "trigger", "nightly")
    run("projections", "rebuild")

    (row,) = data_of("schedule", "runs")
    (done,) = row["projections"]

    assert row["outcome"] == "ok"
    assert (done["projection"], done["how"], done["outcome"]) == ("releases", "rebuild", "drift")
    assert (done["position"], done["drift"], done["events"] > 0, done["rows"] > 0) == (
        13, 1, True, True
    )
    assert json.loads(done["detail"])[0]["live"]["low"] == 7
    assert done["digest"] == data_of("projections", "status")[0]["digest"]
