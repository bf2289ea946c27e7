"""The options that the audit's commands share: the head store, the keys.

The head store lies outside of the ledger's database: whoever can change the ledger should not be
able to change what was signed about it.
"""

import os

import click

from ledger.cli.output import Command
from ledger.errors import CouldNot
from ledger.store.connect import connect, file_of

HEADS_VARIABLE = "LEDGER_HEADS"


def heads_option(command: Command) -> Command:
    """Add `--heads` to a command, which is handed `heads`: what was given, or None."""
    return click.option(
        "--heads",
        metavar="URL|PATH",
        help="The head store: a SQLite file or a database URL, outside of the ledger."
        f"  [env: {HEADS_VARIABLE}; default: <ledger file>.heads]",
    )(command)


def heads_of(database: str, given: str | None) -> str:
    """Return where the head store of a ledger is; raises CouldNot where it has to be said."""
    chosen = given or os.environ.get(HEADS_VARIABLE)
    if chosen:
        return chosen
    file = file_of(connect(database))
    if file is None:
        why = f"a ledger on a server has no default; give --heads or set {HEADS_VARIABLE}"
        raise CouldNot("find the head store", why)
    return f"{file}.heads"
