"""What runs when, as `ledger.toml` declares it.

Takes the text of the file and a check of commands; hands on Schedules. Every fault is named with
the file and its line, all of them at once.
"""

import re
import shlex
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates_schema

from ledger.errors import BadFile, BadValue, shown
from ledger.schedule.timing import Slots, read_cron, read_every

TABLE = "schedule"
GRACE = 60
"""Seconds that a command may start late, where nothing else is said."""
DAY = 86_400

CheckCommand = Callable[[Sequence[str]], None]
"""Raises BadValue for arguments that are no command of the ledger."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One entry: which command, when."""

    name: str
    command: tuple[str, ...]
    """The arguments of `ledger`."""
    when: str
    """The crontab line or the interval, as written."""
    slots: Slots
    grace: int
    """Seconds that it may start late; later it is missed."""
    jitter: int
    """It starts up to so many seconds after its slot, by chance."""


class _Entry(Schema):
    """The keys of one `[[schedule]]`."""

    class Meta:
        unknown = RAISE

    name = fields.String(required=True, validate=validate.Regexp(
        r"[a-z0-9][a-z0-9-]{0,59}\Z", error="wanted small letters, digits and hyphens, up to 60"
    ))
    command = fields.Raw(required=True)
    cron = fields.Raw()
    every = fields.Raw()
    grace = fields.Integer(strict=True, load_default=GRACE, validate=validate.Range(1, 7 * DAY))
    jitter = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, DAY))

    @validates_schema
    def _one_time(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("cron" in data) == ("every" in data):
            raise ValidationError("wanted one of cron and every")


def read_schedules(path: Path, check: CheckCommand) -> list[Schedule]:
    """Return what the file declares; raises BadFile with every fault and its line."""
    try:
        text = path.read_text("utf-8")
    except OSError as failure:
        raise BadFile(f"{path}: {failure.strerror or failure}") from None
    except UnicodeDecodeError:
        raise BadFile(f"{path}: is not text in UTF-8") from None
    try:
        declared = tomllib.loads(text)
    except tomllib.TOMLDecodeError as refusal:
        stated = re.search(r"at line (\d+)", str(refusal))
        line = int(stated[1]) if stated else text.count("\n") + 1
        raise BadFile(f"{path}, line {line}: {refusal}") from None
    faults: list[tuple[int, str]] = []
    found = list(_schedules(declared, text, check, faults))
    if faults:
        raise BadFile("; ".join(f"{path}, line {line}: {why}" for line, why in sorted(faults)))
    return found


def _schedules(
    declared: Mapping[str, Any], text: str, check: CheckCommand, faults: list[tuple[int, str]]
) -> Iterator[Schedule]:
    """Yield the sound entries; what is wrong with the others is added to the faults."""
    for key in declared.keys() - {TABLE}:
        faults.append((_line_of(text, key), f"{key} is not known here, wanted [[{TABLE}]]"))
    entries = declared.get(TABLE, [])
    if not isinstance(entries, list):
        faults.append((_line_of(text, TABLE), f"wanted [[{TABLE}]], in double brackets"))
        return
    names: set[str] = set()
    for number, entry in enumerate(entries):
        wrong = list(_faults_of(entry, check, names))
        faults += [(_line_of(text, key, number), why) for key, why in wrong]
        if not wrong:
            yield _schedule(entry)


def _faults_of(entry: Any, check: CheckCommand, names: set[str]) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong with it); an empty key is the entry as a whole."""
    if not isinstance(entry, dict):
        yield "", f"got {shown(entry)}, wanted a table: name, command, and one of cron and every"
        return
    errors = _Entry().validate(entry)
    for key, whys in errors.items():
        if key == "_schema":
            yield "", f"{' '.join(whys)}"
        elif whys == ["Unknown field."]:
            yield key, f"{key} is not a key here, wanted one of {', '.join(_Entry().fields)}"
        elif key in entry:
            yield key, f"{key}: got {shown(entry[key])}, {' '.join(whys)}"
        else:
            yield "", f"{key} is missing"
    for key, read in (("cron", read_cron), ("every", read_every)):
        if key in entry:
            yield from _refused(key, partial(read, entry[key]))
    if "command" in entry:
        yield from _refused("command", lambda: check(_arguments(entry["command"])))
    if isinstance(name := entry.get("name"), str):
        if name in names:
            yield "name", f"name: {name!r} stands twice, wanted it once"
        names.add(name)


def _refused(key: str, read: Callable[[], object]) -> Iterator[tuple[str, str]]:
    try:
        read()
    except BadValue as refusal:
        yield key, f"{key}: {refusal}"


def _schedule(entry: Mapping[str, Any]) -> Schedule:
    loaded = _Entry().load(entry)
    by_cron = "cron" in loaded
    when = loaded["cron"] if by_cron else loaded["every"]
    return Schedule(
        name=loaded["name"],
        command=_arguments(loaded["command"]),
        when=when if isinstance(when, str) else f"{when} s",
        slots=read_cron(when) if by_cron else read_every(when),
        grace=loaded["grace"],
        jitter=loaded["jitter"],
    )


def _arguments(command: object) -> tuple[str, ...]:
    """Return the arguments of `ledger`; the word `ledger` before them is taken away."""
    wanted = "a command as it is typed, or a list of its words"
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError:
            raise BadValue(command, wanted) from None
    elif isinstance(command, list) and all(isinstance(word, str) for word in command):
        words = command
    else:
        raise BadValue(command, wanted)
    return tuple(words[1:] if words[:1] == ["ledger"] else words)


def _line_of(text: str, key: str, number: int | None = None) -> int:
    """Return the line of a key, at the top or in the entry of that number; or the entry's line."""
    lines = text.split("\n")  # TOML knows no other ends of lines
    word, schedule = (rf"[\"']?{re.escape(name)}[\"']?" for name in (key, TABLE))
    entries = _real(lines, rf"\[\[\s*{schedule}\s*\]\]")
    if number is not None and number >= len(entries):
        return (_in_array(text)[number:] or [_line_of(text, TABLE)])[0]
    start, end = 0, len(lines) + 1
    if number is not None:
        start, end, *_ = *entries[number:], end
        if not key:
            return start
    header = word if number is None else rf"{schedule}\s*\.\s*{word}"
    keys_end = next((line for line in _real(lines, r"\[") if line > start), end)
    keys = [line for line in _real(lines, rf"{word}\s*[=.]") if start < line < keys_end]
    tables = [line for line in _real(lines, rf"\[+\s*{header}\s*[\].]") if start < line < end]
    return min([*keys, *tables], default=max(start, 1))


def _in_array(text: str) -> list[int]:
    """Return the lines of the entries where they are written as one array: each begins where the
    array could as well end."""
    found: list[int] = []
    for brace in re.finditer(r"\{", text):
        before = text[: brace.start()]
        if _is_toml(before + "]") and len(tomllib.loads(before + "]").get(TABLE, ())) == len(found):
            found.append(before.count("\n") + 1)
    return found


def _real(lines: Sequence[str], pattern: str) -> list[int]:
    """Return the numbers of the lines that begin so, without those inside a text of many lines."""
    return [
        number
        for number, line in enumerate(lines, start=1)
        if re.match(rf"\s*(?:{pattern})", line) and _is_toml("\n".join(lines[: number - 1]))
    ]


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    return True
