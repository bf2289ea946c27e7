"""The shape of the code: who may import whom, how long things are, where clocks may be read.

Each rule is a function from {path: source} to complaints, so that each can be shown to bite.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Imports go strictly downward; a room is a module or a package of `ledger`.
FLOORS: Mapping[int, tuple[str, ...]] = {
    1: ("errors", "tables"),
    2: ("values", "events", "merkle", "marks"),
    3: ("entry", "kinds", "bounds", "tlog"),
    4: ("encoding", "developments"),
    5: ("store", "projections"),
    6: ("folding", "processes", "run"),
    7: ("work",),
    8: ("intake", "rebuild", "answers", "examples"),
    9: ("audit",),
    10: ("book", "schedule"),
    11: ("cli",),
    12: ("__init__", "__main__"),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}

# Libraries with a home: whatever else needs them asks the room that is named here.
HOMES: Mapping[str, tuple[str, ...]] = {
    "alembic": ("store",),
    "psycopg": ("store",),
    "sqlite3": ("store",),
    "apscheduler": ("schedule",),
    "click": ("cli",),
    "cryptography": ("tlog",),
    "rich": ("cli",),
    "sqlalchemy": tuple(room for room, floor in FLOOR_OF.items() if floor not in (2, 3, 4)),
}

# Below this floor nothing reads a clock, chance or the environment: they arrive as arguments.
FIRST_TO_READ_THE_WORLD = 10
WORLDLY_MODULES = {"time", "random", "secrets", "getpass", "socket", "platform", "locale"}
WORLDLY_NAMES = {
    *(f"os.{name}" for name in ("environ", "environb", "getenv", "urandom", "getpid", "getlogin")),
    *(f"uuid.uuid{version}" for version in (1, 4, 6, 7)),
    *(f"datetime.datetime.{name}" for name in ("now", "utcnow", "today")),
    *("datetime.date.today", "sys.argv", "sys.stdin"),
}
WORLDLY_CALLS = {"now", "utcnow", "today", "current_timestamp", "localtimestamp"}

LONGEST_FILE = 400
LONGEST_FUNCTION = 60

Sources = Mapping[str, str]
Rule = Callable[[Sources], list[str]]


def sources(*folders: str) -> dict[str, str]:
    """Return every Python file under the folders: path from the top, and text."""
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}


def room_of(path: str) -> str:
    """Return the room of a file: ledger/store/read.py is in store, ledger/book.py in book."""
    return path.removeprefix("ledger/").split("/")[0].removesuffix(".py")


def imported(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, full name) for each import, also those inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def module_of(name: str, files: Sources) -> str:
    """Return the file that an import inside `ledger` names; the top one when there is none."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = "/".join(parts[:end])
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if file in files:
                return file
    return "ledger/__init__.py"


def unlisted_rooms(files: Sources) -> list[str]:
    """Every file of the package is in a room that FLOORS knows."""
    return [
        f"{path}: add the room {room_of(path)!r} to FLOORS in tests/test_floors.py"
        for path in files
        if room_of(path) not in FLOOR_OF
    ]


def wrong_directions(files: Sources) -> list[str]:
    """An import inside the package goes to the same room or to a lower floor; none is relative."""
    complaints = []
    for path, source in files.items():
        for line, name in imported(source):
            if name.startswith("."):
                complaints.append(f"{path}:{line}: relative import of {name}")
            if name.split(".")[0] != "ledger":
                continue
            here, there = room_of(path), room_of(module_of(name, files))
            if here != there and FLOOR_OF.get(there, 0) >= FLOOR_OF.get(here, 0):
                complaints.append(
                    f"{path}:{line}: {here} (floor {FLOOR_OF.get(here)}) imports {name} "
                    f"of {there} (floor {FLOOR_OF.get(there)})"
                )
    return complaints


def cycles(files: Sources) -> list[str]:
    """No module imports itself, not by way of others either."""
    targets = {
        path: {module_of(name, files) for _, name in imported(source) if name.startswith("ledger.")}
        for path, source in files.items()
    }
    complaints = []
    for start in targets:
        seen: set[str] = set()
        ahead = set(targets[start])
        while ahead:
            seen |= ahead
            ahead = {further for path in ahead for further in targets.get(path, ())} - seen
        if start in seen:
            complaints.append(f"{start}: imports itself by way of others")
    return complaints


def libraries_from_home(files: Sources) -> list[str]:
    """A library that has a home is imported there only."""
    return [
        f"{path}:{line}: {name} may be imported in {', '.join(HOMES[name.split('.')[0]])} only"
        for path, source in files.items()
        for line, name in imported(source)
        if room_of(path) not in HOMES.get(name.split(".")[0], (room_of(path),))
    ]


def worldly_reads(files: Sources) -> list[str]:
    """No clock, chance or environment is read below the floor that may."""
    return [
        f"{path}:{line}: {name} is read below floor {FIRST_TO_READ_THE_WORLD}, wanted an argument"
        for path, source in files.items()
        if FLOOR_OF.get(room_of(path), 0) < FIRST_TO_READ_THE_WORLD
        for line, name in worldly_names(source)
    ]


def worldly_names(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, name) wherever the source imports, names or calls a reader of the world."""
    for line, name in imported(source):
        if name.split(".")[0] in WORLDLY_MODULES or name in WORLDLY_NAMES:
            yield line, name
    known = bound_names(source)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and full_name(node, known) in WORLDLY_NAMES:
            yield node.lineno, full_name(node, known)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = full_name(node.func, known)
            if node.func.attr in WORLDLY_CALLS and name not in WORLDLY_NAMES:
                yield node.lineno, f"{name}()"


def bound_names(source: str) -> dict[str, str]:
    """Return what each imported name stands for: {"dt": "datetime.datetime"}."""
    bound: dict[str, str] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            bound |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            bound |= {
                alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names
            }
    return bound


def full_name(node: ast.expr, known: Mapping[str, str]) -> str:
    """Return the dotted name of an expression, imported names written out."""
    if isinstance(node, ast.Name):
        return known.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{full_name(node.value, known)}.{node.attr}"
    return "(…)"


def long_files(files: Sources) -> list[str]:
    """A file can be read in one sitting."""
    lengths = {path: source.count("\n") for path, source in files.items()}
    return [
        f"{path}: {length} lines, wanted at most {LONGEST_FILE}"
        for path, length in lengths.items()
        if length > LONGEST_FILE
    ]


def long_functions(files: Sources) -> list[str]:
    """A function can be seen at once; its docstring is not counted."""
    return [
        f"{path}:{node.lineno}: {length(node)} lines, wanted at most {LONGEST_FUNCTION}"
        for path, source in files.items()
        for node in functions(source)
        if length(node) > LONGEST_FUNCTION
    ]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    """Yield every function and method."""
    return (node for node in ast.walk(ast.parse(source)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Return the lines from `def` to the end, without the docstring."""
    first = function.body[0]
    described = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if described else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def filled_packages(files: Sources) -> list[str]:
    """An `__init__.py` is empty: what a room offers stands in its modules."""
    return [
        f"{path}: is not empty"
        for path, source in files.items()
        if path.endswith("/__init__.py") and path != "ledger/__init__.py" and source.strip()
    ]


def thawed_revisions(files: Sources) -> list[str]:
    """A revision imports nothing from the package, which will have changed when it is run."""
    return [
        f"{path}:{line}: a revision imports {name}"
        for path, source in files.items()
        for line, name in imported(source)
        if name.split(".")[0] in ("ledger", "")
    ]


RULES: Mapping[Rule, tuple[str, ...]] = {
    unlisted_rooms: ("ledger",),
    wrong_directions: ("ledger",),
    cycles: ("ledger",),
    libraries_from_home: ("ledger",),
    worldly_reads: ("ledger",),
    long_files: ("ledger", "migrations", "tests", "scripts"),
    long_functions: ("ledger", "migrations", "tests", "scripts"),
    filled_packages: ("ledger",),
    thawed_revisions: ("migrations/versions",),
}


@pytest.mark.parametrize(("rule", "folders"), RULES.items())
def test_rule_holds(rule: Rule, folders: tuple[str, ...]) -> None:
    """Every file keeps the rule."""
    assert rule(sources(*folders)) == []


@pytest.mark.parametrize("folder", ["ledger", "migrations", "migrations/versions", "tests"])
def test_rules_saw_something(folder: str) -> None:
    """The rules were tried on files that hold functions and imports."""
    files = sources(folder)
    assert any(list(imported(source)) for source in files.values())
    assert any(list(functions(source)) for source in files.values())


def test_directions_saw_imports_inside_the_package() -> None:
    """The package's imports of itself are seen, in several rooms."""
    inside = {
        (room_of(path), room_of(module_of(name, files)))
        for files in [sources("ledger")]
        for path, source in files.items()
        for _, name in imported(source)
        if name.startswith("ledger.")
    }
    assert {("store", "errors"), ("store", "store")} <= inside


def test_floors_name_each_room_once() -> None:
    """No room stands on two floors."""
    assert len(FLOOR_OF) == sum(len(rooms) for rooms in FLOORS.values())


LONG = "def f():\n    '''Said at\n    length.'''\n" + "    pass\n" * (LONGEST_FUNCTION - 1)

BITES: tuple[tuple[Rule, Sources, str], ...] = (
    (unlisted_rooms, {"ledger/shed/spade.py": ""}, "add the room 'shed' to FLOORS"),
    (wrong_directions, {"ledger/merkle.py": "from ledger.store.read import rows",
                        "ledger/store/read.py": ""}, "merkle (floor 2) imports"),
    (wrong_directions, {"ledger/merkle.py": "from ledger import events",
                        "ledger/events.py": ""}, "of events (floor 2)"),
    (wrong_directions, {"ledger/book.py": "def f():\n    import ledger"}, "of __init__ (floor 12)"),
    (wrong_directions, {"ledger/store/read.py": "from . import append"}, "relative import"),
    (cycles, {"ledger/store/a.py": "import ledger.store.b",
              "ledger/store/b.py": "from ledger.store import a"}, "ledger/store/a.py"),
    (libraries_from_home, {"ledger/book.py": "import click"}, "click may be imported in cli"),
    (libraries_from_home, {"ledger/bounds.py": "from sqlalchemy.orm import x"}, "sqlalchemy"),
    (worldly_reads, {"ledger/merkle.py": "from datetime import datetime as d\nd.now()"}, ".now"),
    (worldly_reads, {"ledger/merkle.py": "import datetime as d\nf(d.date.today)"}, ".today"),
    (worldly_reads, {"ledger/merkle.py": "from sqlalchemy import func\nfunc.now()"}, "func.now()"),
    (worldly_reads, {"ledger/merkle.py": "import os\nos.environ['A']"}, "os.environ"),
    (worldly_reads, {"ledger/merkle.py": "from uuid import uuid4"}, "uuid.uuid4"),
    (worldly_reads, {"ledger/rebuild.py": "import time"}, "time"),
    (long_files, {"a.py": "\n" * (LONGEST_FILE + 1)}, "401 lines"),
    (long_functions, {"a.py": LONG + "    pass\n"}, "61 lines"),
    (filled_packages, {"ledger/store/__init__.py": "x = 1"}, "not empty"),
    (thawed_revisions, {"migrations/versions/0003_x.py": "from ledger.tables import metadata"},
     "imports ledger.tables"),
)

PASSES: tuple[tuple[Rule, Sources], ...] = (
    (wrong_directions, {"ledger/merkle.py": "from ledger.errors import CouldNot",
                        "ledger/errors.py": ""}),
    (wrong_directions, {"ledger/store/read.py": "from ledger.store.append import x",
                        "ledger/store/append.py": ""}),
    (worldly_reads, {"ledger/book.py": "import os\nos.environ"}),
    (worldly_reads, {"ledger/merkle.py": "from datetime import datetime\nnow = datetime(1, 2, 3)"}),
    (long_functions, {"a.py": LONG}),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "files", "complaint"), BITES)
def test_rule_bites(rule: Rule, files: Sources, complaint: str) -> None:
    """The rule complains about a small bad sample, and says what is wrong."""
    assert complaint in "\n".join(rule(files))


@pytest.mark.parametrize(("rule", "files"), PASSES)
def test_rule_lets_good_code_pass(rule: Rule, files: Sources) -> None:
    """The rule has nothing to say about a small good sample."""
    assert rule(files) == []


def test_every_rule_is_shown_to_bite() -> None:
    """No rule is without a sample that it complains about."""
    assert {rule for rule, _, _ in BITES} == set(RULES)
