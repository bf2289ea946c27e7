"""Forms to fill in or to mend: `ledger record --template KIND`, and refused reports.

Takes a Kind; hands on YAML with every field, its help and an example beside it. What the field says
is left blank, so that a form that nobody filled in is refused by what is missing. All of it is read
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
from ledger.intake.composing import SHORT_NAMES
from ledger.intake.reading import BadDraft, Draft
from ledger.intake.recording import Refusal
from ledger.intake.yaml_reading import construct, documents
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
    "development": "short name of what happened, the same in every report about it; no person's "
                   "name in it",
    "tally": "short name of what is counted",
    "person": "short name of the person, with no name in it",
    "source": "short name of the publisher",
    "listing": "short name of the list",
}
"""By category: what its short name stands for."""
RESTATED = "PrisonersReleased"
"""The type of report that the template of a correction restates."""
WIDTH = 80

FILLED_IN = frozenset(("type_version",))
"""Required fields that the intake fills in where they are left out."""

_EXAMPLE = "  # for example "
_WITH_EXAMPLE = re.compile(rf"^([ #-]*\w+:){_EXAMPLE}(.*)$", re.M)
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


def with_examples(text: str) -> str:
    """Return a template with every example in its place; it records once it names an event."""
    return _WITH_EXAMPLE.sub(r"\1 \2", text)


def template(kind: Kind) -> str:
    """Return a commented YAML form of the kind, with nothing filled in."""
    lines = [
        *_prose(f"{kind.type}: {kind.meaning}"),
        "#",
        *_prose("Put in what the source says; a field left blank is not given. A line that begins "
                "with # and a name may be left out; take the # away to put it in. What is marked "
                "personal can be erased."),
        "",
        f"kind: {kind.type}",
    ]
    if kind.category != SAME_STREAM:
        short = SHORT_NAMES[kind.category]
        if kind.is_report and kind.category == "development":  # one family a stream
            short = re.sub("([A-Z])", r"-\1", f"by{kind.type}-2025-12-13").lower()
        lines += ["", *_prose(STREAMS[kind.category]), _blank(kind.category, short)]
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
        yield [*_prose(_help(name, field)), *body]


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
        return names - FILLED_IN
    raise AssertionError(f"no one field makes the examples of {type(form).__name__} a report")


def _loaded(lines: list[str]) -> Any:
    text = with_examples("\n".join(lines))
    return next((construct(node) for node in documents(text.encode())), {})


def _body(name: str, field: Field, sample: Any) -> list[str]:
    """Return the field with its sample; groups and lists of groups with their own fields."""
    if isinstance(sample, Form):
        return [f"{name}:", *_indented(_inside(sample))]
    if isinstance(field, ListOf) and isinstance(field.inner, Group):
        return [f"{name}:", *_dashed(_inside(field.inner.form, one_at_least=True))]
    if sample in KINDS:  # the form that follows is of this type, so it is no example
        return [f"{name}: {sample}"]
    return [_blank(name, sample)]


def _blank(name: str, example: Any) -> str:
    return f"{name}:" if example == "" else f"{name}:{_EXAMPLE}{example}"


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
    """Return for each field a form, where it is a group, or an example that it accepts, in YAML."""
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
    if isinstance(field, Pattern):
        return "0" * 64 if field.pattern is DIGEST else "short-name"
    if isinstance(field, ListOf):
        inner = _sample(field.inner)
        return f"[{inner}]" if inner else ""
    return next((text for type, text in _BY_TYPE if isinstance(field, type)), "")


def _help(name: str, field: Field) -> str:
    """Return the field's help with its words, its default and a mark where it is personal."""
    text: str = field.metadata["help"]
    if isinstance(field, Restated):
        return (
            f"{text}; these are the fields of a {RESTATED}. For another type, put its name above "
            "and here the fields that `ledger record --template TYPE` prints below its stream"
        )
    inner = field.inner if isinstance(field, ListOf) else field
    if isinstance(inner, Choice) and len(inner.words[0]) > 1:
        text += ": " + ", ".join(inner.words)
    notes = ["personal"] if field.sealed else []
    if default := "the newest" if name in FILLED_IN else _default(field):
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
