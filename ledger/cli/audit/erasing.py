"""`ledger audit erase` and `ledger audit log`."""

import click

COMMANDS: tuple[click.Command, ...] = ()
