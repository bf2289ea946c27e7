"""Which code folds: a digest of this package, and of how a projection is put together.

Takes a projection; hands on 64 hex digits, the same as long as all that a fold rests on is the
same. The package's files are read when this is imported, with the rest of what folds.
"""

import sys
from collections.abc import Callable
from functools import lru_cache, partial
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ledger.projections.projection import Projection, columns_of

PACKAGE = Path(__file__).parents[1]
SUFFIXES = (".py", ".pyc", ".so", ".pyd", ".tsv")
"""Of files that a fold may rest on: code, also where its source is not there, and the names of
countries."""
CACHE = "__pycache__"
"""What Python compiled from the sources beside it, and does not import without them."""
LIBRARIES = ("orjson", "pycountry")
"""Those that read an entry, or the name of a country in it."""


@lru_cache(maxsize=64)
def code_of(projection: Projection) -> str | None:
    """Return the digest of what folds a projection; None where nobody knows all of it.

    That is so of functions and of classes that are somebody else's, and of files that cannot be
    read.
    """
    functions = (
        projection.of_report, projection.of_step, projection.of_type, projection.of_ties
    )
    named = [None if of_part is None else _name_of(of_part) for of_part in functions]
    if _CODE is None or "" in named or type(projection) is not Projection:
        return None
    tables = [(table.name, columns_of(table)) for table in projection.tables]
    about = projection.reports and sorted(projection.reports)
    put_together = (projection.name, projection.version, projection.category, about, tables, named)
    return sha256(f"{_CODE} {put_together!r}".encode()).hexdigest()


def _name_of(function: Callable[..., object]) -> str:
    """Return by which name this very function is found in the package; empty where it is not."""
    if isinstance(function, partial):
        inner = _name_of(function.func)
        told = (*function.args, *function.keywords.values())
        is_plain = all(isinstance(value, str) for value in told)
        return f"{inner}{function.args}{function.keywords}" if inner and is_plain else ""
    module = getattr(function, "__module__", None) or ""
    name = getattr(function, "__qualname__", "")
    is_inside = module.partition(".")[0] == PACKAGE.name
    is_found = getattr(sys.modules.get(module), name, None) is function
    return f"{module}.{name}" if is_inside and is_found else ""


def digest_of_files(folder: Path) -> str:
    """Return the digest of the files in a folder that count, their names included.

    Hidden ones do not, which are an editor's or the file manager's, nor what Python keeps compiled.
    """
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and not _is_aside(path) and path.is_file():
            raw = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()} {len(raw)}\n".encode())
            digest.update(raw)
    return digest.hexdigest()


def _is_aside(path: Path) -> bool:
    return path.name.startswith(".") or path.parent.name == CACHE


def _code() -> str | None:
    runs = f"{sys.implementation.name} {sys.version_info}"
    try:
        return f"{digest_of_files(PACKAGE)} {[*map(version, LIBRARIES)]} {runs}"
    except (OSError, PackageNotFoundError):
        return None


_CODE = _code()
