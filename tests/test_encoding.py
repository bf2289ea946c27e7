"""Events to bytes and back, for every event type: golden entries, normal forms, sealing, erasure.

`histories/reports` has a report of each type with every field filled in, each sealed text marked by
the word Sealed; `histories/entries` has the bytes that such a report is recorded as. Recorded bytes
never change: a difference there means a new type_version, not a new file.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from forms import written_report
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.encoding import (
    compose,
    decode,
    digest,
    disclosed,
    encode,
    normal,
    parse,
    says_the_same,
    seal,
)
from ledger.errors import BadEntry, BadReport, BadValue, EntryTooLarge
from ledger.events import NewEvent
from ledger.kinds.fields import Field, ListOf
from ledger.kinds.form import Form, Group
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS

HISTORIES = Path(__file__).parent / "histories"
RECORDED_AT = "2025-12-14T08:00:00.000001Z"

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
