"""The command `ledger`: its sections, and what becomes of a refusal.

Takes argv; runs one command and hands its exit code to the shell: 0 ok, 1 a finding, 2 misused,
3 refused, 4 could not, 5 a fork or rollback, 130 stopped with Ctrl-C, 141 when nobody reads on.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import click
from sqlalchemy import exc

from ledger.cli.answer import answer
from ledger.cli.audit.group import audit
from ledger.cli.demo import demo
from ledger.cli.diff import diff
from ledger.cli.explain import explain
from ledger.cli.history import history
from ledger.cli.look import show, status
from ledger.cli.output import (
    EXIT_CODES,
    INTERRUPTED,
    WORDS,
    Diagnostic,
    examples,
    finish,
    print_json,
    say,
    wants_json,
)
from ledger.cli.projections import projections
from ledger.cli.record import record
from ledger.cli.schedule import schedule
from ledger.cli.start import database_option, example, init, place
from ledger.errors import CouldNot, LedgerError

# In the order of the work. To add a command, add it here.
SECTIONS: tuple[tuple[str, tuple[click.Command, ...]], ...] = (
    ("Record", (init, example, record)),
    ("Look", (status, show, history)),
    ("Answer", (projections, answer, explain, diff)),
    ("Keep", (schedule, audit)),
    ("See it work", (demo,)),
)

NOBODY_READS = 141
HELP_AT_MOST = 120
"""Characters of a command's one line; a longer one would end in three dots."""


class Sections(click.Group):
    """A group whose help shows the commands in sections and whose refusals are one line each."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in the order of the work, not of the alphabet."""
        width = max(map(len, self.list_commands(ctx)))
        for title, commands in SECTIONS:
            with formatter.section(title):
                formatter.write_dl([
                    ((c.name or "").ljust(width), c.get_short_help_str(HELP_AT_MOST))
                    for c in commands
                ])

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the sections, also for shell completion."""
        return [name for _, commands in SECTIONS for c in commands if (name := c.name)]

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """Read the options before the command; every later step finds the words in `meta`."""
        _open_what_is_closed()
        words = list(args)
        with _misuse_in_json(words):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[WORDS] = words
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever it refuses becomes a message and an exit code."""
        _survive_any_encoding()
        try:
            try:
                with _misuse_in_json(ctx.meta[WORDS]):
                    return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # here, where a full disk or a closed pipe can still be told
        except CouldNot as refusal:
            _stop(ctx, "could_not", str(refusal))
        except LedgerError as refusal:
            _stop(ctx, "refused", str(refusal))
        except (exc.DBAPIError, exc.TimeoutError) as failure:
            _stop(ctx, "could_not", f"could not use {place(ctx)}: {_reason(failure)}")
        except BrokenPipeError:
            _forget_stdout()
            raise click.exceptions.Exit(NOBODY_READS) from None
        except OSError as failure:
            _stop(ctx, "could_not", f"could not {_failed(failure)}")
        except KeyboardInterrupt:
            say("stopped")
            raise click.exceptions.Exit(INTERRUPTED) from None


@contextmanager
def _misuse_in_json(words: Sequence[str]) -> Iterator[None]:
    """Say a misuse once for programs, where the words ask for JSON; click says it to people."""
    try:
        yield
    except click.UsageError as misuse:
        if wants_json(words):
            print_json(None, "misused", [Diagnostic("misused", misuse.format_message())])
        raise


def _version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        try:
            click.echo(f"ledger {version('incident-ledger')}")
        except PackageNotFoundError:
            click.echo("ledger, from a folder that was not installed")
        context.exit()


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=examples(
        "ledger example article | ledger record -",
        "ledger history by-release-2025-12-13",
        "ledger projections rebuild",
        "ledger answer releases --state Belarus --since 2025-11-01",
    ),
)
@database_option
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Show the version and exit.")
def ledger(database: str) -> None:
    """An append-only ledger of geopolitical incidents.

    Reports come in and are recorded once; every answer is folded from the record.
    After `record`, `projections catch-up` takes what is new into the answers.

    \b
    Exit codes: 0 ok, 1 a finding (something is not as it should be), 2 misused,
    3 refused, 4 could not, 5 a fork (the log no longer continues a signed head).
    """


for _, _commands in SECTIONS:
    for _command in _commands:
        ledger.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; never returns."""
    try:
        ledger.main(arguments, prog_name="ledger")
    except OSError as failure:  # a page of help that could not be printed
        say(f"could not {_failed(failure)}")
        _flush_or_forget()
        sys.exit(EXIT_CODES["could_not"])


def _stop(context: click.Context, status: str, message: str) -> NoReturn:
    """Say it once for people and, where JSON was asked for, once for programs."""
    message = " ".join(message.split())
    say(f"refused: {message}" if status == "refused" else message)
    try:
        if wants_json(context.meta[WORDS]):
            print_json(None, status, [Diagnostic(status, message)])
    except OSError:  # stdout is what failed
        pass
    finally:
        if status == "could_not":
            _flush_or_forget()
    finish(status)


def _reason(failure: exc.SQLAlchemyError) -> str:
    cause = getattr(failure, "orig", None) or failure
    return str(cause).strip() or type(cause).__name__


def _failed(failure: OSError) -> str:
    why = failure.strerror or str(failure)
    return f"use {failure.filename}: {why}" if failure.filename else f"finish: {why}"


def _flush_or_forget() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        _forget_stdout()


def _forget_stdout() -> None:
    """Let what is still buffered go nowhere, so that leaving Python does not complain again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _open_what_is_closed() -> None:
    """A shell can close the standard streams (`>&-`); then Python has None in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - until the process ends


def _survive_any_encoding() -> None:
    """A terminal without Unicode shows an escape instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
