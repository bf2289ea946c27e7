"""The ledger from Python: one connection kept for many small calls, on both databases; ids."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import RFC_4122, UUID

import pytest
import sqlalchemy as sa
from appenders import complaints_about, release
from sqlalchemy import exc

import ledger
from ledger.book import Book, new_id
from ledger.errors import BadFile, BadValue, CouldNot, NotRecorded
from ledger.intake.recording import Outcome
from ledger.store.append import append
from ledger.store.connect import changing, holds_append_lock, reading, writing
from ledger.store.read import read_head


def report(number: int, **fields: Any) -> dict[str, Any]:
    """Return a report of a release of that many people."""
    source = {"publisher": "A Newspaper", "url": f"https://example.org/{number}"}
    return {"kind": "PrisonersReleased", "development": f"by-{number}", "when": "2025-12-13",
            "by": "Belarus", "total": number, "provenance": source, **fields}


@pytest.fixture
def book(database: str) -> Iterator[Book]:
    """A ledger that nothing was recorded in."""
    book = ledger.connect(database)
    yield book
    book.engine.dispose()


def record_one(book: Book, number: int, **fields: Any) -> Outcome:
    return book.record([report(number, **fields)], by="desk")


def size_of(book: Book) -> int:
    """Return the number of events that somebody else sees, on a connection of his own."""
    with reading(book.engine) as connection:
        return read_head(connection).size


def test_one_by_one(book: Book) -> None:
    """Reports recorded one by one on a kept connection are seen by others, each at once."""
    with book.connected() as same:
        for number in range(1, 6):
            assert record_one(same, number).written
            assert size_of(book) == number
        same.rebuild()
        (row,) = same.answers.releases(by="state")
        assert (row["state"], row["low"], row["high"]) == ("BY", 15, 15)
        assert record_one(same, 5).already == 1
    assert complaints_about(book.engine) == []


def test_ids() -> None:
    """Ids are UUIDs of version 7 with the time now, and none comes twice, also in threads."""
    before = time.time_ns() // 1_000_000
    with ThreadPoolExecutor(4) as pool:
        ids = [id for many in pool.map(lambda _: [new_id() for _ in range(5_000)], range(4))
               for id in many]
    after = time.time_ns() // 1_000_000

    assert len(set(ids)) == len(ids) == 20_000
    for id in ids:
        parsed = UUID(id)
        assert str(parsed) == id
        assert (parsed.version, parsed.variant) == (7, RFC_4122)
        assert before <= parsed.int >> 80 <= after
    for bit in {*range(62), *range(64, 76)}:  # what is random: about half of them are set
        assert 9_000 < sum(UUID(id).int >> bit & 1 for id in ids) < 11_000


def test_ids_after_a_fork() -> None:
    """A forked process does not hand out the ids that its parent hands out."""
    script = (
        "import os\nfrom ledger.book import new_id\nnew_id()\nchild = os.fork() == 0\n"
        "tails = ' '.join(new_id()[14:] for _ in range(200)) + chr(10)\n"
        "os.write(1, tails.encode())\n"
        "os._exit(0) if child else os.wait()\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    parent, child = (set(line.split()) for line in said.splitlines())

    assert len(parent) == len(child) == 200
    assert parent.isdisjoint(child)


def test_refusals_between(book: Book) -> None:
    """A refused report, a dry run and a question to no answer leave a kept connection usable."""
    with book.connected() as same:
        with pytest.raises(NotRecorded):
            record_one(same, 1, by="Nowhereland")
        assert not same.record([report(1)], by="desk", dry_run=True).written
        with pytest.raises(ledger.errors.LedgerError):
            same.answers.releases()
        assert record_one(same, 1).written
    assert size_of(book) == 1


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_refusal_raises(book: Book, tmp_path: Path, dry_run: bool) -> None:
    """A call of all or nothing that records nothing raises, and says what was refused where."""
    good, bad = report(1), report(2, when="09.02.2026")
    file = tmp_path / "reports.yaml"
    file.write_text(json.dumps([good, bad], indent=1))
    with book.connected() as feed:
        for one, reports, line in ((feed, [good, bad], 2), (book, file, 16)):
            with pytest.raises(NotRecorded) as caught:
                one.record(reports, by="desk", dry_run=dry_run)
            (refusal,) = caught.value.refusals
            assert [remark[:2] for remark in refusal.remarks] == [(line, "when")]
            assert str(caught.value).startswith(
                f"nothing was recorded, 1 of 2 refused: line {line}: when: got '09.02.2026', wanted"
            )
    assert size_of(book) == 0


def test_many_refusals_are_cut(book: Book) -> None:
    """The error names the first three refused reports and counts the others; it carries all."""
    with pytest.raises(NotRecorded, match=r"5 of 6 refused: line 2: .*; and 2 more$") as caught:
        book.record([report(1), *(report(n, by="Nowhereland") for n in range(2, 7))], by="desk")
    assert [refusal.line for refusal in caught.value.refusals] == [2, 3, 4, 5, 6]
    assert str(caught.value).count("Nowhereland") == 3


def test_keep_going_hands_refusals_back(book: Book) -> None:
    """Whoever asks to keep going gets the refusals in the outcome, and the good are recorded."""
    reports = [report(1), report(2, by="Nowhereland")]
    outcome = book.record(reports, by="desk", keep_going=True)
    assert [refusal.line for refusal in outcome.refusals] == [2]
    assert size_of(book) == len(outcome.recorded) == 1


def test_others_write_between(book: Book) -> None:
    """While a connection is kept and idle, others append; it keeps no lock and no old state."""
    with book.connected() as one, book.connected() as other:
        for number in range(1, 9):
            record_one(one if number % 2 else other, number)
        assert size_of(one) == size_of(other) == 8
    assert complaints_about(book.engine) == []


def test_purpose_ends(engine: sa.Engine) -> None:
    """A kept connection holds the append lock in `writing` alone, however that ends."""
    with engine.connect() as connection:
        for purpose in (writing, changing, reading):
            with purpose(connection) as same:
                assert same is connection
                assert holds_append_lock(connection) == (purpose is writing)
            assert not holds_append_lock(connection)
            with pytest.raises(ZeroDivisionError), purpose(connection):
                raise ZeroDivisionError
            with connection.begin():
                assert not holds_append_lock(connection)
        with reading(connection), pytest.raises(AssertionError, match="writing"):
            append(connection, [release("1", "development/a")], recorded_by="anna",
                   clock=lambda: datetime.now(UTC))


def test_inside_another(engine: sa.Engine) -> None:
    """A transaction is not opened inside another one, and the outer one keeps its lock."""
    with engine.connect() as connection, writing(connection):
        with pytest.raises(exc.InvalidRequestError), reading(connection):
            pass
        assert holds_append_lock(connection)


def test_a_lost_server(postgres_database: str) -> None:
    """When the server drops a kept connection, the call fails and the next one goes through."""
    book = ledger.connect(postgres_database)
    with book.connected() as same:
        record_one(same, 1)
        with book.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(exc.DBAPIError):
            record_one(same, 2)
        assert record_one(same, 2).written
    assert size_of(book) == 2
    book.engine.dispose()


@pytest.mark.parametrize("name", [None, 7, 1.5, True, "", " ", "a\nb" * 100, {"name": "anna"}])
def test_who_records_has_a_name(engine: sa.Engine, name: Any) -> None:
    """What is no name is refused before anything is recorded: it would stand there for ever."""
    book = Book(engine)
    with pytest.raises(BadValue):
        book.record([report(1)], by=name)
    assert book.record([report(1)], by="anna").recorded[0].position == 1


def test_a_file_by_its_path(engine: sa.Engine, tmp_path: Path) -> None:
    """A file of reports is named by a Path or a text; one that is not there is refused."""
    (tmp_path / "a.yaml").write_text(json.dumps(report(1)))
    book = Book(engine)
    assert book.record(str(tmp_path / "a.yaml"), by="anna").seen == 1
    assert book.record(tmp_path / "a.yaml", by="anna").seen == 1
    with pytest.raises(BadFile, match=r"b\.yaml: No such file"):
        book.record(tmp_path / "b.yaml", by="anna")


def test_a_ledger_by_its_path(sqlite_database: str, tmp_path: Path) -> None:
    """A ledger is named by a Path or a text; what is none cannot be opened, whatever it is."""
    file = Path(sqlite_database.removeprefix("sqlite:///"))
    assert size_of(ledger.connect(file)) == size_of(ledger.connect(str(file))) == 0
    (tmp_path / "no.db").write_text("no database, but a text that is long enough to be read as one")
    for place in (tmp_path, tmp_path / "no.db", tmp_path / "nowhere" / "a.db"):
        for create in (False, True):
            with pytest.raises(CouldNot, match="could not open"):
                ledger.connect(place, create=create)


@pytest.mark.parametrize("question", [
    {"development": 5}, {"state": ["BY"]}, {"valid_at": 2025}, {"by": str},
])
def test_a_parameter_of_another_type(engine: sa.Engine, question: dict[str, Any]) -> None:
    """A value that is no text is refused by its name, before anything is looked up."""
    book = Book(engine)
    book.rebuild()
    with pytest.raises(BadValue, match=f"as {next(iter(question))}"):
        book.answers.releases(**question)
