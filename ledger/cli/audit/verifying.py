"""`ledger audit verify`."""

import click

COMMANDS: tuple[click.Command, ...] = ()
