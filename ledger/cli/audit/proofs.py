"""`ledger audit prove`, `consistency`, `check` and `export`."""

import click

COMMANDS: tuple[click.Command, ...] = ()
