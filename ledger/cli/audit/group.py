"""`ledger audit`: prove the whole history to somebody who trusts nobody here."""

import click

from ledger.cli.audit import erasing, heads, proofs, verifying


@click.group()
def audit() -> None:
    """Sign tree heads, verify the history, prove single events, export, erase."""


for _commands in (heads.COMMANDS, verifying.COMMANDS, proofs.COMMANDS, erasing.COMMANDS):
    for _command in _commands:
        audit.add_command(_command)
