"""Forms to fill in or to mend: `ledger record --template KIND`, and refused reports.

Takes a Kind; hands on YAML that records as it stands, every field with its help. All of it is read
off the forms. A line of prose begins with `# `; a field that may be left out with `#` alone, so
that taking the `#` away puts it in. Takes Refusals; hands on YAML with the complaints as comments.
"""

import re
from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import yaml
from marshmallow import missing

from ledger.cli.render import quantity, reading_order
from ledger.errors import BadReport
from ledger.intake.reading import BadDraft, Draft
from ledger.intake.recording import Refusal
from ledger.intake.yaml_reading import construct, documents
from ledger.kinds.common import StreamField
from ledger.kinds.fields import (
    DIGEST,
    Choice,
    CountryField,
    DayField,
    Field,
    Flag,
    ListOf,
    PartyField,
    Pattern,
    QuantityField,
    Text,
    Whole,
)
from ledger.kinds.form import Form, Group
from ledger.kinds.keeping import SAME_STREAM, Restated
from ledger.kinds.kind import Kind
from ledger.kinds.registry import KINDS

STREAMS = {
    "development": ("by-release-2025-12-13", "short name of what happened, the same in every "
                    "report about it; no person's name in it"),
    "tally": ("by-released-since-2025-11", "short name of what is counted"),
    "person": ("p-3k7w", "short name of the person, with no name in it"),
    "source": ("straight-arrow-news", "short name of the publisher"),
    "listing": ("ofac-sdn", "short name of the list"),
}
"""By category: an example of a short name, and what it stands for."""
RESTATED = "PrisonersReleased"
"""The type of report that the template of a correction restates."""
WIDTH = 80

_OTHERS = {"development": "by-talks-2025-12-12", "person": "p-9q4d"}
"""By category: an example of another stream than that of the report."""
_BY_TYPE: tuple[tuple[type[Field], str], ...] = (
    (DayField, "2025-12-13"),
    (CountryField, "Belarus"),
    (PartyField, "Belarus"),
    (QuantityField, "at least 1"),
    (Flag, "false"),
    (Text, "…"),
)


def kinds_to_write() -> list[Kind]:
    """Return the kinds that a person may hand in."""
    return [kind for kind in KINDS.values() if kind.written_by is None]


def template(kind: Kind) -> str:
    """Return a commented YAML form of the kind."""
    lines = [
        *_prose(f"{kind.type}: {kind.meaning}"),
        "#",
        *_prose("Put in what the source says. A line that begins with # and a name may be left "
                "out; take the # away to put it in. What is marked personal can be erased."),
        "",
        f"kind: {kind.type}",
    ]
    if kind.category != SAME_STREAM:
        short, meaning = STREAMS[kind.category]
        if kind.is_report and kind.category == "development":  # one family a stream
            short = re.sub("([A-Z])", r"-\1", f"by{kind.type}-2025-12-13").lower()
        lines += ["", *_prose(meaning), f"{kind.category}: {short}"]
    for block in _blocks(kind.form):
        lines += ["", *block]
    return "\n".join(lines) + "\n"


def _blocks(form: Form, one_at_least: bool = False) -> Iterator[list[str]]:
    """Yield the lines of each field; the ones that cannot be left out are active."""
    samples = _samples(form)
    active = _active(form, samples)
    names = sorted(reading_order(form), key=lambda name: one_at_least and name not in active)
    if one_at_least and not active:
        active = {names[0]}
    for name in names:
        field = form.parts[name]
        body = _body(name, field, samples[name])
        if name not in active:
            body = ["#" + line for line in body]
        yield [*_prose(_help(field)), *body]


def _active(form: Form, samples: dict[str, Any]) -> set[str]:
    """Return the required fields, and the first other one with which the form's rules hold."""
    required = {name for name, field in form.parts.items() if field.required}
    for further in [set(), *({name} for name in form.parts)]:
        names = required | further
        lines = [line for name in form.parts if name in names
                 for line in _body(name, form.parts[name], samples[name])]
        try:
            form.normal(_loaded(lines))
        except BadReport:
            continue
        return names
    raise AssertionError(f"no one field makes the examples of {type(form).__name__} a report")


def _loaded(lines: list[str]) -> Any:
    return next((construct(node) for node in documents("\n".join(lines).encode())), {})


def _body(name: str, field: Field, sample: Any) -> list[str]:
    """Return the field with its sample; groups and lists of groups with their own fields."""
    if isinstance(sample, Form):
        return [f"{name}:", *_indented(_inside(sample))]
    if isinstance(field, ListOf) and isinstance(field.inner, Group):
        return [f"{name}:", *_dashed(_inside(field.inner.form, one_at_least=True))]
    return [f"{name}: {sample}".rstrip()]


def _inside(form: Form, one_at_least: bool = False) -> list[str]:
    return [line for block in _blocks(form, one_at_least) for line in block]


def _indented(lines: list[str], by: str = "  ") -> list[str]:
    return [by + line for line in lines]


def _dashed(lines: list[str]) -> list[str]:
    """Return the lines as the first item of a list: the first field gets the dash."""
    first = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    indented = _indented(lines, "    ")
    indented[first] = "  - " + lines[first]
    return indented


def _samples(form: Form) -> dict[str, Any]:
    """Return for each field a form, where it is a group, or YAML text that it accepts."""
    samples = {name: _sample(field) for name, field in form.parts.items()}
    if any(isinstance(field, Restated) for field in form.parts.values()):
        kind = KINDS[RESTATED]
        samples |= {"type": kind.type, "type_version": kind.type_version, "report": kind.form}
    return samples


def _sample(field: Field) -> Any:
    if isinstance(field, Group):
        return field.form
    example = field.metadata.get("example")
    if isinstance(field, Choice):
        word = field.words[0] if example is None else str(example)
        return f'"{word}"' if word.isdigit() else word
    if example is not None:
        return example
    if isinstance(field, Text) and not field.required:
        return ""
    if isinstance(field, Whole):
        return field.least
    if isinstance(field, StreamField):
        return _OTHERS[field.category]
    if isinstance(field, Pattern):
        return "0" * 64 if field.pattern is DIGEST else "short-name"
    if isinstance(field, ListOf):
        return f"[{_sample(field.inner)}]"
    return next((text for type, text in _BY_TYPE if isinstance(field, type)), "")


def _help(field: Field) -> str:
    """Return the field's help with its words, its default and a mark where it is personal."""
    text: str = field.metadata["help"]
    inner = field.inner if isinstance(field, ListOf) else field
    if isinstance(inner, Choice) and len(inner.words[0]) > 1:
        text += ": " + ", ".join(inner.words)
    notes = ["personal"] if field.sealed else []
    if default := _default(field):
        notes.append(f"left out: {default}")
    return f"{text} ({'; '.join(notes)})" if notes else text


def _default(field: Field) -> str:
    default = field.load_default
    if default is missing or default is None:
        return ""
    value = default() if callable(default) else default
    if isinstance(field, QuantityField):
        return quantity(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value == [] else str(value)


def _prose(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH - 10, break_on_hyphens=False)]


def refused_as_yaml(refusals: Sequence[Refusal], where: str) -> str:
    """Return the refused reports of a file as YAML, each below what is wrong with it."""
    parts = [f"# Refused reports of {where}. Mend them, then record this file.\n"]
    for refusal in refusals:
        complaints = "".join(f"# {complaint}\n" for complaint in _in_one_line(refusal))
        parts.append(f"# line {refusal.line}\n{complaints}{_draft_as_yaml(refusal.draft)}")
    return "\n".join(parts)


def _in_one_line(refusal: Refusal) -> Iterator[str]:
    return (" ".join(str(complaint).split()) for complaint in refusal.complaints)


def _draft_as_yaml(draft: Draft | BadDraft) -> str:
    if isinstance(draft, BadDraft):
        return "# It could not be read at all, so it is not repeated here.\n"
    fields = {"kind": None, **draft.fields} if "kind" in draft.fields else draft.fields
    return yaml.dump([fields], Dumper=_Plain, allow_unicode=True, sort_keys=False, width=90)


class _Plain(yaml.SafeDumper):
    """Writes text so that the ledger's own YAML reading gets the same text back."""

    def ignore_aliases(self, data: Any) -> bool:
        """Repeat what stands twice: shared provenance belongs to each report."""
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Quote what begins like a number, and spell out what could be taken for a line break."""
    looks_like_number = text[:1].isdigit() or text[:1] in ("+", "-", ".")
    is_plain = text.replace("\n", "").isprintable() and not looks_like_number
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Plain.add_representer(str, _text_node)
