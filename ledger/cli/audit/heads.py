"""`ledger audit keygen` and `ledger audit head`."""

import click

COMMANDS: tuple[click.Command, ...] = ()
