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
from ledger.kinds.fields import Check, Field, ListOf, Rule, naming

Sealed = dict[str, "Sealed | None"]

_QUICK = """
def is_normal(data):
    if type(data) is not dict:
        return False
    get, rest = data.get, len(data) - {always}
{tests}
    return rest == 0 and {keeps}
"""
_ALWAYS = """
    it = get({name!r})
    if not ({test}):
        return False
"""
_PERHAPS = """
    if rest and (it := get({name!r})) is not None:
        rest -= 1
        if not ({test}):
            return False
"""


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
        """Whether data surely is in normal form: a function, about 4 microseconds for a report.

        It is compiled from the fields' quick tests, one after the other.
        """
        scope: dict[str, Any] = {}
        use = naming(scope)
        keeps = f"{use(self._keeps_rules)}(data)" if self.rules else "True"
        tests = [
            (_ALWAYS if name in self.always else _PERHAPS).format(
                name=name, test=field.quick("it", use)
            )
            for name, field in self.parts.items()
        ]
        source = _QUICK.format(always=len(self.always), tests="".join(tests), keeps=keeps)
        exec(source, scope)  # the source is made of this package's own text alone
        is_normal: Check = scope["is_normal"]
        return is_normal

    def _keeps_rules(self, data: Data) -> bool:
        try:
            for rule in self.rules:
                rule(data)
        except BadValue:
            return False
        return True

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
            inner = field.inner if isinstance(field, ListOf) else field
            if isinstance(inner, Group):
                form = inner.form
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

    def is_normal(self, value: Any) -> bool:
        return self.form.is_normal(value)

    @property
    def check(self) -> Check:
        return self.form.is_normal


def _sealed_in(field: Field) -> Sealed | None:
    inner = field.inner if isinstance(field, ListOf) else field
    return inner.form.sealed or None if isinstance(inner, Group) and not field.sealed else None


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
