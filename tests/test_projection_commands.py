"""`ledger projections` for who runs it: one that is busy, one named twice, drift and stalls."""

import json
from pathlib import Path

import pytest
from command_line import closing, data_of, empty_folder, record_article, run

from ledger.projections.registry import PROJECTIONS
from ledger.store.connect import connect
from ledger.store.locks import alone

DATABASE = "ledger.db"


@pytest.fixture(autouse=True)
def article(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The article's reports are recorded in ./ledger.db, and the answer tables are filled."""
    empty_folder(tmp_path, monkeypatch)
    record_article()
    run("projections", "rebuild")


def test_a_busy_projection_keeps_no_other_from_catching_up() -> None:
    """While somebody works on one projection, the others catch up, and the exit code is 4."""
    with alone(connect(DATABASE), "coded_events", "process 12 on desk"):
        said = run("projections", "catch-up", "--format", "json", code=4).stdout
        run("projections", "catch-up", "coded_events", code=4)

    envelope = json.loads(said)
    assert envelope["status"] == "could_not"
    done = [row["projection"] for row in envelope["data"]]
    assert done == [p.name for p in PROJECTIONS if p.name != "coded_events"]
    (why,) = [remark["message"] for remark in envelope["diagnostics"]]
    assert why == "could not work on coded_events: process 12 on desk is at it already"


@pytest.mark.parametrize("what", ["catch-up", "rebuild"])
def test_a_projection_named_twice_is_one(what: str) -> None:
    """A name that is given twice asks for one run."""
    rows = data_of("projections", what, "releases", "talks", "releases")
    assert [row["projection"] for row in rows] == ["releases", "talks"]


def test_status_says_where_drift_was_found() -> None:
    """`status` notes the last drift of a projection, which is no finding: it may be mended."""
    with closing(DATABASE) as connection:
        connection.execute("DELETE FROM releases")
    run("projections", "rebuild", "--check", code=1)
    run("projections", "rebuild")

    page = run("projections", "status")
    found = data_of("projections", "status")[0]["last_drift"]
    assert page.stderr == f"note: the last drift in releases was found at {found}\n"


def test_status_says_what_was_never_built() -> None:
    """A projection without tables has no position, and the command that builds it is named."""
    with closing(DATABASE) as connection:
        connection.execute("DELETE FROM checkpoints WHERE projection IN ('talks', 'people')")
    page = run("projections", "status")
    assert page.stderr == (
        "note: never built: talks, people; `ledger projections catch-up` builds what is missing\n"
    )
    run("projections", "catch-up")
    assert run("projections", "status").stderr == ""


def test_status_says_what_is_stalled() -> None:
    """`status` names the position where a projection stands and the cause, and exits 1."""
    with closing(DATABASE) as connection:
        connection.execute("UPDATE checkpoints SET position = 6, stalled_at = 7, stall_cause = 'x'"
                           " WHERE projection = 'talks'")
    page = run("projections", "status", code=1)
    assert "stalled at" in page.stdout
    assert max(map(len, page.stdout.splitlines())) <= 80
    assert page.stderr == "talks is stalled at position 7: x\n"
    behind = data_of("status")["behind"]
    assert [one for one in behind.split("; ") if "(stalled)" in one] == ["talks 7 (stalled)"]
