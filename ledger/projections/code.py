"""Which code folds: a digest of this package, and of how a projection is put together.

Takes a projection; hands on 64 hex digits, the same as long as all that a fold rests on is the
same. The package's files are read once, when this is imported: what runs then is what they say.
"""

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable

from ledger.projections.projection import Projection, columns_of

PACKAGE = "ledger"
LIBRARIES = ("orjson", "pycountry")
"""Those that read an entry, or the name of a country in it."""


@lru_cache(maxsize=64)
def code_of(projection: Projection) -> str | None:
    """Return the digest of what folds a projection; None where not all of it is in this package.

    Of a function that is somebody else's, nobody knows what it rests on.
    """
    functions = (
        projection.of_report, projection.of_step, projection.of_type, projection.of_ties
    )
    named = [None if of_part is None else _name_of(of_part) for of_part in functions]
    if "" in named:
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
    is_inside = module.partition(".")[0] == PACKAGE
    is_found = getattr(sys.modules.get(module), name, None) is function
    return f"{module}.{name}" if is_inside and is_found else ""


def digest_of_files(folder: Traversable) -> str:
    """Return the digest of every file in a folder, its name included, but of no compiled one."""
    digest = sha256()
    for path, raw in sorted(_files(folder, "")):
        digest.update(f"{path} {len(raw)}\n".encode())
        digest.update(raw)
    return digest.hexdigest()


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        here = f"{path}/{entry.name}"
        if entry.is_file():
            yield here, entry.read_bytes()
        elif entry.name != "__pycache__":
            yield from _files(entry, here)


_CODE = f"{digest_of_files(files(PACKAGE))} {[*map(version, LIBRARIES)]} {sys.version}"
