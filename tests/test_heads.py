"""The head store, and the commands `ledger audit keygen` and `ledger audit head`."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import ROOT, data_of, empty_folder, record_article, run
from signers import ended, started

from ledger.audit.heads import HeadMoved, HeadStore, KnownHead, OriginFrozen, open_heads
from ledger.errors import CouldNot
from ledger.store.connect import connect, file_of
from ledger.tlog.head import open_head
from ledger.tlog.note import read_verifier_key

ORIGIN = "example.org/incidents"
RIVALS, HEADS = 4, 50
AT = "2026-01-01T00:00:00.000000Z"


def known(size: int, by: str = "") -> KnownHead:
    """Return a head of that size, told from others of its size by who made it."""
    return KnownHead(size, b"r" * 32, b"f" * 32, AT, f"note {size}{by}")


@pytest.fixture
def heads(empty_database: str) -> Iterator[HeadStore]:
    """A head store that is not there yet, on SQLite and on PostgreSQL in turn."""
    store = open_heads(empty_database)
    yield store
    store.close()


def tables_in(url: str) -> list[str]:
    """Return the tables of a database; a SQLite file that is not there has none."""
    engine = connect(url)
    file = file_of(engine)
    try:
        return [] if file and not file.exists() else sa.inspect(engine).get_table_names()
    finally:
        engine.dispose()


# The store.


def test_heads_come_back(heads: HeadStore) -> None:
    """What was added comes back, smallest first, each origin by itself."""
    for after, size in [(0, 3), (3, 4), (4, 10)]:
        heads.add(ORIGIN, known(size), after)
    heads.add("other", known(7), 0)

    assert heads.latest(ORIGIN) == known(10)
    assert [*heads.all(ORIGIN)] == [known(3), known(4), known(10)]
    assert [*heads.all(ORIGIN, after=3)] == [known(4), known(10)]
    assert (heads.at(ORIGIN, 4), heads.at(ORIGIN, 5)) == (known(4), None)
    assert [*heads.all("other")] == [known(7)]


def test_pages(heads: HeadStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """All heads come, however many are held in memory at once."""
    monkeypatch.setattr("ledger.audit.heads.PAGE", 2)
    for size in range(1, 6):
        heads.add(ORIGIN, known(size), size - 1)

    assert [*heads.all(ORIGIN)] == [known(size) for size in range(1, 6)]


def test_looking_makes_nothing(heads: HeadStore, empty_database: str) -> None:
    """A store that nothing was added to knows nothing, and looking at it does not make it."""
    assert (heads.latest(ORIGIN), heads.at(ORIGIN, 1), heads.frozen(ORIGIN)) == (None, None, None)
    assert [*heads.all(ORIGIN)] == []
    assert tables_in(empty_database) == []


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_head_that_moved(heads: HeadStore, after: int) -> None:
    """A head is added after the latest one only."""
    heads.add(ORIGIN, known(2), 0)

    with pytest.raises(HeadMoved) as refusal:
        heads.add(ORIGIN, known(5), after)
    assert (refusal.value.latest, refusal.value.after) == (2, after)
    assert [*heads.all(ORIGIN)] == [known(2)]


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_head_that_does_not_grow(heads: HeadStore, size: int) -> None:
    """A head is larger than the one before it."""
    heads.add(ORIGIN, known(2), 0)

    with pytest.raises(ValueError, match="to follow one of size 2"):
        heads.add(ORIGIN, known(size), 2)


def test_freezing(heads: HeadStore) -> None:
    """A frozen origin takes no head and keeps its first reason; another origin is free."""
    heads.add(ORIGIN, known(2), 0)
    heads.freeze(ORIGIN, "it was rewritten", AT)
    heads.freeze(ORIGIN, "something else", AT)

    assert heads.frozen(ORIGIN) == "it was rewritten"
    with pytest.raises(OriginFrozen, match="it was rewritten"):
        heads.add(ORIGIN, known(3), 2)
    assert heads.frozen("other") is None
    heads.add("other", known(3), 0)
    assert heads.latest(ORIGIN) == known(2)


REPLACED = "INTO heads VALUES ('example.org/incidents', 2, 'x', 'x', 'x', 'x')"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE heads SET note = 'x'",
        "DELETE FROM heads",
        "UPDATE freezes SET reason = 'x'",
        "DELETE FROM freezes",
        f"INSERT {REPLACED}",
        f"INSERT OR REPLACE {REPLACED}",
        "INSERT OR REPLACE INTO freezes VALUES ('frozen', 'x', 'x')",
        "TRUNCATE heads",
        "TRUNCATE freezes",
    ],
)
def test_rows_are_only_added(heads: HeadStore, empty_database: str, statement: str) -> None:
    """A slip of the hand changes and removes nothing."""
    heads.add(ORIGIN, known(2), 0)
    heads.freeze("frozen", "a reason", AT)
    engine = connect(empty_database)

    with pytest.raises(sa.exc.DBAPIError), engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(statement)
    engine.dispose()
    assert ([*heads.all(ORIGIN)], heads.frozen("frozen")) == ([known(2)], "a reason")


def add_often(url: str, by: str) -> None:
    """Add head after head, whoever was before, until there are so many."""
    store = open_heads(url)
    while True:
        latest = store.latest(ORIGIN)
        after = 0 if latest is None else latest.size
        if after == HEADS:
            return
        try:
            store.add(ORIGIN, known(after + 1, by), after)
        except HeadMoved:
            continue


def test_rivals(heads: HeadStore, empty_database: str) -> None:
    """Of processes that add at once each head is one process's, from the first on."""
    processes = [started(add_often, empty_database, f" by {n}") for n in range(RIVALS)]

    assert [ended(process) for process in processes] == [0] * RIVALS
    assert [head.size for head in heads.all(ORIGIN)] == list(range(1, HEADS + 1))


def test_files_are_private(tmp_path: Path) -> None:
    """A new store's files are for the user alone who signs."""
    store = open_heads(tmp_path / "signed.heads")
    store.add(ORIGIN, known(1), 0)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes.pop("signed.heads") == 0o600
    assert set(modes.values()) <= {0o600}
    store.close()


def test_a_ledger_is_no_head_store(database: str) -> None:
    """The ledger's own database is refused, under any name."""
    with pytest.raises(CouldNot, match="it is a ledger"):
        open_heads(database)


def test_a_link_to_the_ledger(sqlite_database: str, tmp_path: Path) -> None:
    """A second name for the ledger's file is seen through."""
    (tmp_path / "other").symlink_to(sqlite_database.removeprefix("sqlite:///"))

    with pytest.raises(CouldNot, match="it is a ledger"):
        open_heads(tmp_path / "other")


@pytest.mark.parametrize("url", ["mysql://x/y", "postgresql://nobody:secret@127.0.0.1:1/none"])
def test_stores_that_cannot_be_used(url: str) -> None:
    """A database that cannot be used is named without its password."""
    with pytest.raises(CouldNot, match="could not use") as refusal:
        open_heads(url)
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of something else is left as it is."""
    (tmp_path / "text").write_text("something else " * 100, "utf-8")

    with pytest.raises(CouldNot, match="use the head store"):
        open_heads(tmp_path / "text")
    assert (tmp_path / "text").read_text("utf-8").startswith("something else")


# The commands.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.delenv("LEDGER_HEADS", raising=False)
    return empty_folder(tmp_path, monkeypatch)


@pytest.fixture
def key(here: Path) -> str:
    """A signing key and a ledger beside it; the verifier key is returned."""
    record_article()
    return run("audit", "keygen", "--origin", ORIGIN, "-o", "the.key").stdout.strip()


def head(*arguments: str, code: int = 0) -> str:
    """Run `ledger audit head` with the key and return all it printed."""
    return run("audit", "head", "--key", "the.key", *arguments, code=code).output


def test_keygen(here: Path) -> None:
    """A key is made for one user alone, its public half printed, and never written over."""
    made = ("audit", "keygen", "--origin", ORIGIN, "-o", "the.key")
    data = data_of(*made)

    assert data == {"origin": ORIGIN, "vkey": data["vkey"], "file": "the.key"}
    assert read_verifier_key(data["vkey"]).name == ORIGIN
    assert stat.S_IMODE(Path("the.key").stat().st_mode) == 0o600
    before = Path("the.key").read_bytes()
    assert "is there already" in run(*made, code=4).output
    assert Path("the.key").read_bytes() == before


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "line\nbreak"])
def test_origins_that_are_refused(here: Path, origin: str) -> None:
    """A name that no note can be signed with makes no key."""
    assert "wanted a key name" in run(
        "audit", "keygen", "--origin", origin, "-o", "the.key", code=3
    ).output
    assert not Path("the.key").exists()


def test_head(key: str) -> None:
    """The head is signed, remembered beside the ledger, published, and not signed twice."""
    data = data_of("audit", "head", "--key", "the.key", "--publish", "to/here")

    signed = open_head(data["note"], read_verifier_key(key))
    assert (data["size"], data["root_hash"]) == (signed.size, signed.root.hex())
    assert data["root_hash"] == data_of("status")["root_hash"]
    assert (data["new"], data["new_events"], data["vkey"]) == (True, 13, key)
    for file in ("to/here/checkpoint", "to/here/heads/13"):
        assert Path(file).read_text("utf-8") == data["note"]
    assert Path("ledger.db.heads").exists()

    again = data_of("audit", "head", "--key", "the.key", "--full")
    assert again == data | {"new": False, "new_events": 0}


def test_head_for_people(key: str) -> None:
    """What people are shown fits 80 columns and says what was signed."""
    shown = head()

    assert max(map(len, shown.splitlines())) <= 80
    assert all(word in shown for word in (ORIGIN, "13", data_of("status")["root_hash"]))


def test_an_empty_ledger(here: Path) -> None:
    """Before anything is recorded nothing is signed, and that is no failure."""
    run("init")
    run("audit", "keygen", "--origin", ORIGIN, "-o", "the.key")

    assert "nothing is recorded yet" in head()
    assert data_of("audit", "head", "--key", "the.key") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read(key: str, mode: int) -> None:
    """A key file that is not private is not used."""
    Path("the.key").chmod(mode)

    assert "others can read it" in head(code=4)
    assert not Path("ledger.db.heads").exists()


@pytest.mark.parametrize("text", ["", "PRIVATE+KEY+a+b+c", "\xff" * 9, "x" * 100_000])
def test_a_file_that_is_no_key(key: str, text: str) -> None:
    """A file without a key is refused, and nothing of it is shown."""
    Path("the.key").write_text(text, "latin-1")

    assert "that are not shown" in head(code=4)


def test_what_could_not_be_done(key: str) -> None:
    """What stands in the way is said in one line, with exit code 4."""
    for wrong, words in [
        (("--heads", "ledger.db"), "it is a ledger"),
        (("--heads", "no/such/folder"), "No such file"),
        (("--publish", "the.key/in"), "the.key"),
        (("--command", "false"), "the next run publishes it again"),
    ]:
        assert words in head(*wrong, code=4)
    assert "no.key" in run("audit", "head", "--key", "no.key", code=4).output


def cut_the_ledger() -> None:
    """Take the last event away, triggers and all, and leave the tree head."""
    engine = connect("ledger.db")
    with engine.connect() as connection, connection.begin():
        for (name,) in connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).all():
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("DELETE FROM events WHERE position = 13")
    engine.dispose()


def test_a_fork_is_loud(key: str) -> None:
    """A ledger that was cut off ends the command with 5, now and ever after."""
    head()
    cut_the_ledger()

    for _ in range(2):
        result = run("audit", "head", "--key", "the.key", "--format", "json", code=5)
        assert result.stderr.startswith("FORK OR ROLLBACK: ")
        envelope = json.loads(result.stdout)
        assert (envelope["status"], envelope["data"]) == ("fork_or_rollback", None)
        assert "the ledger has 12" in envelope["diagnostics"][0]["message"]


def test_damage_is_loud(key: str) -> None:
    """A ledger that contradicts itself before it was ever signed ends the command with 1."""
    cut_the_ledger()

    assert "TAMPERED: position 13: the event is gone" in head(code=1)


def test_scheduled_heads(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are signed by a schedule as by hand, and a fork is seen in its runs."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("ledger.toml").write_text(
        '[[schedule]]\nname = "head"\ncommand = "audit head --key the.key --publish out"\n'
        'every = "60 seconds"\n', "utf-8"
    )
    run("schedule", "trigger", "head")
    cut_the_ledger()
    run("schedule", "trigger", "head", code=5)

    assert Path("out/checkpoint").exists()
    assert [row["exit_code"] for row in data_of("schedule", "runs", "head")] == [5, 0]
