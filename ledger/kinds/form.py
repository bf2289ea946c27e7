"""Forms: marshmallow schemas of event types, and what can be derived from them.

Takes a mapping as an analyst (or an older entry) gives it; hands on its normal form, the one that
is recorded. The schema is the only definition. A quick test for "already in normal form" is derived
from it (`Form.is_normal`), so that data made by a program costs no marshmallow run; whatever the
test does not accept goes through `Form.load`, which also words the refusals.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, missing, pre_load, validates_schema

from ledger.errors import BadReport, BadValue, Complaint, shown
from ledger.events import Data
from ledger.kinds.fields import Field, Rule
from ledger.kinds.quick import Check, Lines, Use, compiled, indented, unless
from ledger.kinds.sealing import Sealed


class Form(Schema):
    """The shape of one event type at one type_version, or of a group of fields inside one."""

    class Meta:
        unknown = RAISE

    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between the fields; each raises BadValue."""

    @pre_load
    def _drop_blanks(self, data: Any, **_: Any) -> Any:
        """A field left blank in a form is a field not filled in."""
        if not isinstance(data, Mapping):
            return data
        return {name: value for name, value in data.items() if value is not None}

    @validates_schema
    def _keep_rules(self, data: Data, **_: Any) -> None:
        try:
            for rule in self.rules:
                rule(data)
        except BadValue as refusal:
            raise ValidationError(str(refusal)) from None

    @cached_property
    def parts(self) -> dict[str, Field]:
        """The form's fields by name, in the order of their definition."""
        return {name: field for name, field in self.fields.items() if isinstance(field, Field)}

    @cached_property
    def always(self) -> frozenset[str]:
        """The names that the normal form always has: required ones and those with a default."""
        return frozenset(
            name
            for name, field in self.parts.items()
            if field.required or field.load_default is not missing
        )

    @cached_property
    def is_normal(self) -> Check:
        """Whether data surely is in normal form: a function, 2 to 3 microseconds for a report."""
        return compiled(self.quick)

    def quick(self, it: str, use: Use) -> Lines:
        """Yield the quick test of the variable `it`: its fields, no other field, its rules."""
        yield unless(f"type({it}) is dict")
        yield f"{it}rest = len({it}) - {len(self.always)}"
        for name, field in self.parts.items():
            if name in self.always:
                yield f"{it}_ = {it}[{name!r}]"
                yield from field.quick(f"{it}_", use)
            else:
                yield f"if {it}rest and ({it}_ := {it}.get({name!r})) is not None:"
                yield f"    {it}rest -= 1"
                yield from indented(field.quick(f"{it}_", use))
        yield unless(f"{it}rest == 0")
        for rule in self.rules:
            yield f"{use(rule)}({it})"

    def normal(self, data: Any) -> Data:
        """Return the normal form of the data; raises BadReport with every complaint."""
        if self.is_normal(data):
            return dict(data)
        if not isinstance(data, Mapping):
            raise BadReport([Complaint("", f"got {shown(data)}, wanted fields and their values")])
        try:
            loaded: Data = self.load(data)
        except ValidationError as refusal:
            raise BadReport(list(self._complaints(refusal.messages, data))) from None
        return loaded

    def _complaints(self, messages: Any, data: Any) -> Iterator[Complaint]:
        for path, message in _flattened(messages):
            if message == "Unknown field.":
                known = ", ".join(self._form_at(path).parts)
                message = f"is not a field here, wanted one of {known}"
            yield Complaint(".".join(path), message)

    def _form_at(self, path: tuple[str, ...]) -> "Form":
        form: Form = self
        for step in path[:-1]:
            field = form.parts.get(step)
            if field is not None and (group := _group_in(field)) is not None:
                form = group.form
        return form

    @cached_property
    def sealed(self) -> Sealed:
        """Where the personal fields are: field name to None, or to what is sealed inside it."""
        places = {name: _sealed_in(field) for name, field in self.parts.items()}
        return {
            name: inner
            for name, inner in places.items()
            if inner or self.parts[name].sealed
        }

    @cached_property
    def is_public(self) -> Check:
        """Whether data in normal form have nothing that is sealed: a function."""
        return compiled(self.quick_public)

    def quick_public(self, it: str, use: Use) -> Lines:
        """Yield the test whether the variable `it` has nothing that is sealed."""
        for name, inner in self.sealed.items():
            field = self.parts[name]
            group = _group_in(field)
            if inner is None or group is None:
                yield unless(f"{name!r} not in {it}")
                continue
            value = f"{it}.get({name!r}, ())"
            one_by_one = field.item is not field
            yield f"for {it}_ in {value}:" if one_by_one else f"if {it}_ := {value}:"
            yield from indented(group.form.quick_public(f"{it}_", use))


class Group(Field):
    """A group of fields inside a form."""

    def __init__(self, help: str, form: Form, **kwargs: Any) -> None:
        super().__init__(help, **kwargs)
        self.form = form

    def read(self, value: Any) -> Data:
        if not isinstance(value, Mapping):
            raise BadValue(value, "fields: " + ", ".join(self.form.parts))
        loaded: Data = self.form.load(value)
        return loaded

    def quick(self, it: str, use: Use) -> Lines:
        yield from self.form.quick(it, use)


def _group_in(field: Field) -> Group | None:
    """Return the group that the field is, or a list of."""
    return field.item if isinstance(field.item, Group) else None


def _sealed_in(field: Field) -> Sealed | None:
    group = _group_in(field)
    return None if group is None or field.sealed else group.form.sealed or None


def _flattened(
    messages: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield (path, message) for every message of marshmallow's nested dictionary."""
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            step = () if name == "_schema" else (str(name),)
            yield from _flattened(inner, path + step)
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flattened(inner, path)
    else:
        yield path, str(messages)
