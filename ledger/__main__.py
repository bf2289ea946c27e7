"""The program `ledger`, which is `python -m ledger`, too."""

import signal


def main() -> None:
    """Run the command line; never returns.

    While it is being imported, Ctrl-C ends it as it would any program: there is nothing to say yet.
    """
    asked = signal.getsignal(signal.SIGINT)
    if asked is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ledger.cli.main import main as run

    signal.signal(signal.SIGINT, asked)
    run()


if __name__ == "__main__":
    main()
