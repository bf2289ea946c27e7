"""Recording from the command line: `record`.

Takes a file of reports or stdin; prints what became of each, and writes the refused ones to a file
where the good ones were recorded without them.
"""

import getpass
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ledger.book import writer
from ledger.cli import refused as refused_file
