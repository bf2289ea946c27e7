"""The command line as a whole: help, exit codes, which database, pipes, signals, full disks."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from command_line import (
    REPORT,
    closing,
    command,
    data_of,
    empty_folder,
    environment,
    lines,
    record_article,
    run,
)

from ledger.answers.registry import QUESTIONS, Question
from ledger.cli import output
from ledger.cli.main import SECTIONS, ledger
from ledger.examples import shipped
from ledger.projections.registry import PROJECTIONS
from ledger.store.migrate import HEAD


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder of its own."""
    return empty_folder(tmp_path, monkeypatch)


@pytest.fixture
def article(folder: Path) -> None:
    """The article's reports are in ./ledger.db."""
    record_article()


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the path of every command, groups included."""
    yield path
    for name, inner in group.commands.items():
        if isinstance(inner, click.Group):
            yield from commands(inner, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", [pytest.param(p, id=" ".join(p)) for p in commands(ledger)])
def test_help_fits_a_terminal(path: tuple[str, ...]) -> None:
    """Every page of help fits 80 columns, and `-h` is `--help`."""
    page = run(*path, "--help").stdout
    assert [line for line in page.splitlines() if len(line) > 80] == []
    assert page == run(*path, "-h").stdout
    assert page.startswith("Usage: ")


def test_help_is_in_the_order_of_the_work() -> None:
    """The help of the whole names every section and command, in the order of the work."""
    page = run("--help").stdout
    wanted = [f"\n{title}:\n" for title, _ in SECTIONS]
    wanted[1:1] = [f"\n  {name} " for name in ("init", "example", "record")]
    places = [page.index(text) for text in wanted]
    assert places == sorted(places)
    assert page.count("...") == page.count("[ARGS]...")  # nothing was cut


def test_version() -> None:
    """`--version` says which ledger this is."""
    assert run("--version").stdout.startswith("ledger")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("nosuch", 2, "No such command"),
        ("record", 2, "Missing argument 'FILE|-'"),
        ("show 0", 2, "not in the range"),
        ("show 9" + "9" * 40, 2, "not in the range"),
        ("show x", 2, "not a valid integer"),
        ("status --format xml", 2, "'xml' is not one of"),
        ("record - --refused x", 2, "--refused goes with --keep-going"),
        ("record - --by \x1b", 2, "without the character U+001B"),
        ("example nosuch", 2, "'nosuch' is not one of"),
        ("record nosuch.yaml", 3, "refused: nosuch.yaml: there is no such file"),
        ("record .", 3, "refused: . is a folder, wanted a file of reports"),
        ("record -", 3, "refused: no report in it"),
        ("--db sound.db show 999", 3, "refused: position 999 is not in this ledger"),
        ("--db sound.db history nosuch", 3, "refused: stream nosuch is not in this ledger"),
        ("--db sound.db history", 2, "Missing argument 'STREAM'"),
        ("status", 4, "could not open sqlite:///ledger.db: there is no ledger there"),
        ("--db no/such/folder.db init", 4, "could not use sqlite:///no/such/folder.db: unable to"),
        ("--db text.db status", 4, "could not use sqlite:///text.db: file is not a database"),
        ("--db . status", 4, "could not use sqlite:///.: unable to open database file"),
        ("--db postgresql://u:secret@127.0.0.1:1/x status", 4, "could not use postgresql"),
    ],
)
def test_exit_codes(arguments: str, code: int, said: str, folder: Path) -> None:
    """2 is misuse, 3 a refusal, 4 that it could not be done; stderr says which, in one line."""
    run("init", "--db", "sound.db")
    (folder / "text.db").write_text("this is no database at all, but it is long enough" * 20)
    result = run(*arguments.split(" "), code=code)
    assert said in result.stderr
    assert "secret" not in result.output
    assert result.stdout == ""
    if code > 2:
        last = result.stderr.splitlines()[-1]
        assert last.startswith("refused: " if code == 3 else "could not ")


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("show", "999"), 3, "refused"),
        (("record", "nosuch.yaml"), 3, "refused"),
        (("status", "--db", "nosuch.db"), 4, "could_not"),
    ],
)
def test_refusals_are_json_too(arguments: tuple[str, ...], code: int, status: str) -> None:
    """A refusal is an envelope on stdout where JSON was asked for, and a line on stderr."""
    run("init")
    result = run(*arguments, "--format", "json", code=code)
    envelope = json.loads(result.stdout)
    (diagnostic,) = envelope["diagnostics"]
    assert (envelope["status"], envelope["data"]) == (status, None)
    assert list(diagnostic) == ["level", "message", "line", "field"]
    assert diagnostic["message"] in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("nosuch --format json", "No such command 'nosuch'."),
        ("--format json status", "No such option '--format'."),
        ("status --format=json --nosuch", "No such option '--nosuch'."),
        ("status --nosuch --format json", "No such option '--nosuch'."),
        ("show --format json", "Missing argument 'POSITION'."),
        ("--nosuch status --format json", "No such option '--nosuch'."),
        ("answer releases --stage no --format json", "'no' is not one of"),
        ("record --template nosuch --format json", "there is no kind 'nosuch' to write"),
        ("projections rebuild nosuch --format json", "got 'nosuch'"),
    ],
)
def test_misuse_is_json_too(arguments: str, said: str) -> None:
    """A misuse is an envelope on stdout where JSON is asked for, before or after what is wrong."""
    run("init")
    result = run(*arguments.split(" "), code=2)
    envelope = json.loads(result.stdout)
    assert list(envelope) == ["version", "status", "data", "diagnostics"]
    assert (envelope["status"], envelope["data"]) == ("misused", None)
    (diagnostic,) = envelope["diagnostics"]
    assert said in diagnostic["message"]
    assert said in result.stderr


@pytest.mark.parametrize("arguments", [
    "nosuch", "nosuch --format csv", "status --nosuch --format json --format table",
    "nosuch --by format json",
])
def test_misuse_is_for_people_else(arguments: str) -> None:
    """Where the last format asked for is not JSON, stdout stays empty."""
    assert run(*arguments.split(" "), code=2).stdout == ""


def test_no_room_for_a_misuse() -> None:
    """A misuse that cannot be written to stdout is no traceback either."""
    with open("/dev/full", "wb") as full:
        for arguments in (["--no", "--format", "json"], ["status", "--no", "--format", "json"]):
            done = subprocess.run(command(*arguments), env=environment(), stdout=full,
                                  stderr=subprocess.PIPE, check=False)
            assert (done.returncode, done.stderr) == (
                4, b"could not finish: No space left on device\n"
            )


def test_database_is_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--db` after the command beats the group's, which beats the variable, then ledger.db."""
    monkeypatch.setenv("LEDGER_DATABASE_URL", "sqlite:///variable.db")
    assert "variable.db" in run("init").stdout
    assert "group.db" in run("--db", "group.db", "init").stdout
    assert "own.db" in run("--db", "group.db", "init", "--db", "own.db").stdout
    monkeypatch.setenv("LEDGER_DATABASE_URL", "")
    assert "///ledger.db" in run("init").stdout
    assert "got nothing" in run("init", "--db", "", code=2).stderr


def test_init_twice() -> None:
    """`init` makes a ledger once; the second time it says that it was there."""
    assert run("init").stdout == f"sqlite:///ledger.db: made, revision {HEAD}\n"
    assert run("init").stdout == f"sqlite:///ledger.db: was there already, revision {HEAD}\n"
    assert data_of("init")["before"] == HEAD


@pytest.mark.parametrize("command", [("status",), ("show", "1"), ("history", "x")])
def test_reading_creates_nothing(command: tuple[str, ...], folder: Path) -> None:
    """A command that only reads never makes a file."""
    run(*command, code=4)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("revision", ["0001", "9999"])
@pytest.mark.parametrize("command", [("status",), ("record", "-")])
def test_other_revision(revision: str, command: tuple[str, ...]) -> None:
    """A ledger at another revision is not touched, and the message says what to do."""
    run("init")
    with closing("ledger.db") as database:
        database.execute("UPDATE ledger_revision SET version_num = ?", (revision,))
    said = run(*command, code=4, given=lines(REPORT)).stderr
    assert f"it is at revision {revision}" in said
    assert "`ledger init` upgrades" in said


def test_postgresql_is_made_by_init(empty_postgres_database: str) -> None:
    """On PostgreSQL `record` makes nothing by itself; after `init` everything works."""
    database = ("--db", empty_postgres_database)
    refused = subprocess.run(command(*database, "record", "-"), env=environment(), input=b"{}",
                             capture_output=True, check=False)
    assert refused.returncode == 4
    assert b"there is no ledger there; `ledger init` makes one" in refused.stderr
    run(*database, "init")
    run(*database, "record", "-", given=shipped.example("article"))
    assert data_of(*database, "status")["position"] == 13
    assert "PrisonersReleased" in run(*database, "history", "by-release-2025-12-13").stdout


def test_example_lists_and_prints() -> None:
    """`example` lists what there is, and prints one of them byte for byte."""
    listed = run("example").stdout
    assert [name for name in shipped.NAMES if f"\n{name} " not in listed] == []
    assert run("example", "article").stdout_bytes == shipped.example("article")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("plain é 北京 x", "plain é 北京 x"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m\x07", "\\x1b[31mred\\x1b[0m\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
        ("می‌خواهم", "می‌خواهم"),
    ],
)
def test_other_peoples_text_is_harmless(text: str, printed: str) -> None:
    """Escape sequences and bidirectional overrides are spelled out, everything else is left."""
    assert output.clean(text) == printed


def test_example_piped_into_record() -> None:
    """`ledger example article | ledger record -` records, in two processes."""
    example = subprocess.run(command("example", "article"), env=environment(), capture_output=True,
                             check=True)
    done = subprocess.run(command("record", "-"), env=environment(), input=example.stdout,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"13 reports seen: 13 recorded")


def test_pipe_by_name() -> None:
    """A file that can be read only once, as of <(…), is recorded like any other."""
    done = subprocess.run(command("record", "/dev/stdin"), env=environment(),
                          input=lines(REPORT).encode(), capture_output=True, check=False)
    assert done.stdout.startswith(b"1 report seen: 1 recorded (position 1)"), done.stderr


@pytest.mark.parametrize(
    ("closed", "arguments", "code"),
    [("<&-", "record -", 3), (">&-", "status", 0), ("2>&-", "show 999", 3), (">&-", "show 999", 3)],
)
def test_closed_streams(closed: str, arguments: str, code: int, article: None) -> None:
    """A standard stream that the shell closed changes no exit code."""
    script = f'exec "$@" {closed}'
    done = subprocess.run(["sh", "-c", script, "sh", *command(*arguments.split())],
                          env=environment(), capture_output=True, check=False)
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr


def test_reader_goes_away(article: None) -> None:
    """`ledger … | head` ends quietly when nobody reads on."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command("history", "by-release-2025-12-13"), env=environment(),
                          stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("arguments", ["show 2", "show 2 --format json", "show 2 --entry", "-h"])
def test_no_room_for_the_answer(arguments: str, article: None) -> None:
    """An answer that cannot be written ends with 4 and one line."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command(*arguments.split()), env=environment(), stdout=full,
                              stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (4, b"could not finish: No space left on device\n")


@pytest.mark.parametrize("question", [q for q in QUESTIONS if "development" in q.parameters],
                         ids=lambda question: question.name)
def test_an_answer_about_one_development(question: Question, article: None) -> None:
    """--development takes one that is recorded, by its short name too, and refuses any other."""
    run("projections", "rebuild")
    asked = "answer", question.name, "--format", "json", "--development"
    short, long = (json.loads(run(*asked, name).stdout)["data"] for name in (
        "by-release-2025-12-13", "development/by-release-2025-12-13"))
    assert short == long
    assert short["scope"]["development"] == "development/by-release-2025-12-13"
    said = run(*asked, "by-release-2025-12-31", code=3).stderr
    assert "stream development/by-release-2025-12-31 is not in this ledger" in said


@pytest.mark.parametrize("arguments", [
    *(f"answer {question.name}" for question in QUESTIONS if question.name != "releases"),
    "schedule runs",
])
def test_an_empty_table_says_so(arguments: str) -> None:
    """A table without rows says that it has none."""
    run("init")
    run("projections", "rebuild")
    assert run(*arguments.split(" ")).stdout.startswith("No rows.\n")


def test_times_stand_in_one_line(article: None) -> None:
    """`projections status` prints each time whole, in 80 columns."""
    run("projections", "rebuild")
    page = run("projections", "status").stdout.splitlines()
    rebuilt = data_of("projections", "status")[0]["rebuilt_at"]
    assert len(page) == 2 + len(PROJECTIONS)
    assert page[2].endswith(f"  {rebuilt[:19]}Z")
    assert max(map(len, page)) <= 80


def test_no_word_of_a_table_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    """Only text is wrapped: short words, numbers and moments stand whole while there is room."""
    moment = "2026-11-25T07:41:35.000000Z"
    output.print_table(("slot", "name", "detail"), [(moment, "nightly-rebuild", "so it goes " * 9)])
    page = capsys.readouterr().out
    assert f"{moment}   nightly-rebuild   so it" in page
    output.print_table(("a", "b"), [("x" * 27, "y" * 300)])
    page = capsys.readouterr().out
    assert page.count("y") == 300
    assert page.count("x") == 27
    output.print_table(tuple("abcd"), [["z" * 27] * 4])
    page = capsys.readouterr().out
    assert page.count("z") == 4 * 27
    assert max(map(len, page.splitlines())) <= 80


WITHOUT = """
import sys
sys.modules["apscheduler"] = None
from ledger.cli.main import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("arguments", ["list", "next", "run", "trigger nightly"])
def test_schedule_without_its_extra(arguments: str, folder: Path) -> None:
    """Without APScheduler each command that needs it is refused with the extra's name."""
    (folder / "ledger.toml").touch()
    done = subprocess.run([sys.executable, "-c", WITHOUT, "schedule", *arguments.split(" ")],
                          env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "the extra schedule brings it: pip install 'incident-ledger[schedule]'" in done.stderr


def test_runs_without_the_extra(article: None) -> None:
    """What ran is listed without APScheduler."""
    done = subprocess.run([sys.executable, "-c", WITHOUT, "schedule", "runs"], env=environment(),
                          capture_output=True, text=True, check=True)
    assert done.stdout == "No rows.\n"


def test_terminal_without_unicode(article: None) -> None:
    """Where the output's encoding knows no Unicode, escapes are printed instead."""
    done = subprocess.run(command("show", "2"), env={**environment(), "PYTHONIOENCODING": "ascii"},
                          capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"at least 1 (\\u201cBritain\\u201d)" in done.stdout


def test_ctrl_c_while_typing(folder: Path) -> None:
    """Ctrl-C while reports are still coming in records nothing, and there is no traceback."""
    with subprocess.Popen(command("record", "-"), env=environment(), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(lines(REPORT).encode() * 5_000)  # more than a pipe holds: so it reads
        process.send_signal(signal.SIGINT)
        process.stdin.close()  # Python may be about to read and not see the signal before it did
        said = process.stderr.read()
    assert (process.returncode, said) == (130, b"stopped; nothing was recorded\n")
    assert list(folder.iterdir()) == []
