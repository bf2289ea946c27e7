"""The program before it knows what it is asked."""

import signal
import subprocess
import sys

from command_line import environment

WHILE_IMPORTING = """
import os, signal, sys

class Slow:
    def __getattr__(self, name):
        os.kill(os.getpid(), signal.SIGINT)

sys.modules["ledger.cli.main"] = Slow()
from ledger.__main__ import main
main()
"""


def test_ctrl_c_while_it_starts() -> None:
    """Ctrl-C while its modules are read ends the program at once, and no traceback is printed."""
    done = subprocess.run([sys.executable, "-c", WHILE_IMPORTING], env=environment(),
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")
