"""The example files that come with the package.

Takes the name of one; hands on its bytes, as an analyst would have written them. `article` is one
news article, `wider` the contradicting record around it. Opens package data only.
"""

from importlib.resources import files

from ledger.errors import BadValue

NAMES = ("article", "wider")


def example(name: str) -> bytes:
    """Return the YAML file of that name (UTF-8); raises BadValue for a name not in `NAMES`."""
    if name not in NAMES:
        raise BadValue(name, "one of " + ", ".join(NAMES))
    return files("ledger.examples").joinpath(f"{name}.yaml").read_bytes()
