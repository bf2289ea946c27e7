"""The fields that event types are made of: marshmallow fields that also know their normal form.

Takes what an analyst writes ("Britain", "at least 5", "2025-11") and hands on the normal form that
is recorded. Every field is the one definition of itself: `_deserialize` makes the normal form out
of anything it accepts, and `is_normal` is a quick test that may say yes only where `_deserialize`
would hand the value back unchanged. A no costs time, never correctness. It is compiled from the
lines that `quick` yields, those of fields inside of fields in line.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

from marshmallow import ValidationError, fields

from ledger.errors import BadValue
from ledger.kinds.quick import Check, Lines, Use, compiled, indented, unless
from ledger.values.country import CODES, is_country, read_country
from ledger.values.day import read_day
from ledger.values.quantity import LIMIT, RELATIONS, Quantity, between, check_whole, read_quantity

DIGEST = re.compile(r"[0-9a-f]{64}")
FOREIGN = "foreign"
"""In a breakdown only: persons who hold another citizenship than that of the releasing state."""


class Field(fields.Field[Any]):
    """A field with a help text, an example for templates, and a normal form.

    `sealed` marks a personal field: it stands in the entry only as a salted digest.
    """

    def __init__(
        self, help: str, *, example: Any = None, sealed: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(metadata={"help": help, "example": example}, **kwargs)
        self.sealed = sealed
        self.error_messages["required"] = f"is missing, wanted {help}"

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        try:
            return self.read(value)
        except BadValue as refusal:
            raise ValidationError(str(refusal)) from None

    def read(self, value: Any) -> Any:
        """Return the normal form of the value; raises BadValue."""
        raise AssertionError(f"{type(self).__name__} does not say how it reads")

    @property
    def item(self) -> "Field":
        """What one thing in it is: the field itself, or what a list is a list of."""
        return self

    @cached_property
    def is_normal(self) -> Check:
        """Whether a value surely is in normal form already: a function."""
        return compiled(self.quick)

    def quick(self, it: str, use: Use) -> Lines:
        """Yield the quick test of the variable `it`; None fails it."""
        raise AssertionError(f"{type(self).__name__} does not say what is normal")


class Text(Field):
    """A piece of text without control characters (a line break is allowed)."""

    def __init__(self, help: str, *, limit: int = 2_000, **kwargs: Any) -> None:
        super().__init__(help, **kwargs)
        self.limit = limit

    def read(self, value: Any) -> str:
        if not isinstance(value, str):
            raise BadValue(value, "text")
        text = value.strip()
        if not text:
            raise BadValue(value, "text that is not blank")
        if len(text) > self.limit:
            raise BadValue(text, f"at most {self.limit:,} characters, not {len(text):,}")
        for character in text:
            if _is_forbidden(character):
                raise BadValue(value, f"text without the character U+{ord(character):04X}")
        return text

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(
            f"type({it}) is str and {it}.isprintable() and 0 < len({it}) <= {self.limit}"
            f" and {it}[0] != ' ' and {it}[-1] != ' '"
        )


_WORDS = Text("the source's words", limit=200)
WHO = Text("who records", limit=200)


class Pattern(Text):
    """Text of one fixed form."""

    def __init__(self, help: str, pattern: re.Pattern[str], **kwargs: Any) -> None:
        super().__init__(help, limit=kwargs.pop("limit", 200), **kwargs)
        self.pattern = pattern

    def read(self, value: Any) -> str:
        text = super().read(value)
        if not self.pattern.fullmatch(text):
            raise BadValue(value, self.metadata["help"])
        return text

    def quick(self, it: str, use: Use) -> Lines:
        matches = f"{use(self.pattern.fullmatch)}({it}) is not None"
        yield unless(f"type({it}) is str and len({it}) <= {self.limit} and {matches}")


class Choice(Field):
    """One of a few words; `third country` and `Third_Country` are read as `third_country`."""

    def __init__(self, help: str, words: Sequence[str], **kwargs: Any) -> None:
        super().__init__(help, **kwargs)
        self.words = tuple(words)
        self.error_messages["required"] = f"is missing, wanted {help}: {', '.join(self.words)}"

    def read(self, value: Any) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # YAML reads an unquoted 2 as a number
        if isinstance(value, str):
            plain = "_".join(value.casefold().replace("_", " ").replace("-", " ").split())
            for word in self.words:
                if plain == word.casefold():
                    return word
        raise BadValue(value, "one of " + ", ".join(self.words))

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is str and {it} in {use(frozenset(self.words))}")


class Whole(Field):
    """A whole number from 0 (or `least`) to 2^53 - 1."""

    def __init__(self, help: str, *, least: int = 0, **kwargs: Any) -> None:
        super().__init__(help, **kwargs)
        self.least = least

    def read(self, value: Any) -> int:
        if check_whole(value) < self.least:
            raise BadValue(value, f"a whole number from {self.least}")
        return int(value)

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is int and {self.least} <= {it} <= {LIMIT}")


class Flag(Field):
    """true or false."""

    def read(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise BadValue(value, "true or false")
        return value

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is bool")


class DayField(Field):
    """A day, month, year or interval (EDTF levels 0 and 1), beside its earliest and latest day."""

    def read(self, value: Any) -> dict[str, Any]:
        text = value.get("edtf") if isinstance(value, dict) else value
        if isinstance(text, int) and not isinstance(text, bool):
            text = str(text)
        day = read_day(text)  # type: ignore[arg-type]  # it refuses what is no text
        normal: dict[str, Any] = {"edtf": day.edtf}
        if day.earliest is not None:
            normal["earliest"] = day.earliest.isoformat()
        if day.latest is not None:
            normal["latest"] = day.latest.isoformat()
        if day.flags:
            normal["flags"] = list(day.flags)
        if isinstance(value, dict) and value != normal and value != {"edtf": text}:
            raise BadValue(value, f"the days that {text} stands for")
        return normal

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(
            f"type({it}) is dict and type(text := {it}['edtf']) is str"
            f" and {it} == {use(_PLAIN_DAYS)}[text]"
        )


class CountryField(Field):
    """A country or citizenship: its code, and the words the source used for it."""

    extra: tuple[str, ...] = ()

    def read(self, value: Any) -> dict[str, str]:
        if isinstance(value, dict) and set(value) == {"code", "said"}:
            code, said = value["code"], _WORDS.read(value["said"])
            if not (isinstance(code, str) and (code in CODES or code in self.extra)):
                raise BadValue(code, "an ISO 3166-1 alpha-2 code")
            return {"code": code, "said": said}
        if not isinstance(value, str):
            raise BadValue(value, "a country's name or code")
        said = _WORDS.read(value)
        if said.casefold() in self.extra:
            return {"code": said.casefold(), "said": said}
        country = read_country(said)
        return {"code": country.code, "said": country.said}

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(
            f"type({it}) is dict and len({it}) == 2"
            f" and type(code := {it}['code']) is str and type(said := {it}['said']) is str"
            f" and code in {use(CODES.union(self.extra))}"
            f" and (said == code or {use(_is_plain_text)}(said, {_WORDS.limit}))"
        )


class Citizenship(CountryField):
    """A citizenship in a breakdown; also `foreign`."""

    extra = (FOREIGN,)


class Organisation(Text):
    """An organisation's name; that of a country is none: nobody stands for a state by its name."""

    def read(self, value: Any) -> str:
        name = super().read(value)
        if is_country(name):
            raise BadValue(name, f"an organisation; the country is written without: {name}")
        return name

    def quick(self, it: str, use: Use) -> Lines:
        yield from super().quick(it, use)
        yield unless(f"not {use(is_country)}({it})")


class PartyField(Field):
    """A state (by name or code) or `{organisation: name}`."""

    _country = CountryField("a country")
    _organisation = Organisation("an organisation's name", limit=200)

    def read(self, value: Any) -> dict[str, Any]:
        if isinstance(value, dict) and set(value) == {"organisation"}:
            return {"organisation": self._organisation.read(value["organisation"])}
        if isinstance(value, dict) and set(value) == {"country"}:
            return {"country": self._country.read(value["country"])}
        if isinstance(value, str):
            try:
                return {"country": self._country.read(value)}
            except BadValue as refusal:
                wanted = f"{refusal.wanted}, or {{organisation: name}}"
                raise BadValue(value, wanted) from None
        raise BadValue(value, "a country's name or code, or {organisation: name}")

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is dict and len({it}) == 1")
        yield f"if 'country' in {it}:"
        yield f"    {it}_ = {it}['country']"
        yield from indented(self._country.quick(f"{it}_", use))
        yield "else:"
        yield f"    {it}_ = {it}['organisation']"
        yield from indented(self._organisation.quick(f"{it}_", use))


class QuantityField(Field):
    """How many: a whole number, or words such as "at least 5", "about 30", "some"."""

    def read(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            return _quantity_as_data(
                read_quantity(_WORDS.read(value) if isinstance(value, str) else value)
            )
        known = {"relation", "low", "high", "best", "said", "flags"}
        if unknown := sorted(map(str, set(value) - known)):
            raise BadValue(unknown[0], "a quantity's " + ", ".join(sorted(known)))
        normal = _quantity_as_data(_quantity_from_parts(value))
        if "relation" in value and value != normal:
            raise BadValue(value, f"a quantity that agrees with itself, such as {normal}")
        return normal

    def quick(self, it: str, use: Use) -> Lines:
        low = f"type(low := {it}['low']) is int and 0 <= low <= {LIMIT}"
        yield unless(
            f"type({it}) is dict and type(relation := {it}['relation']) is str and ("
            f"relation == 'exact' and len({it}) == 3 and {low}"
            f" and type(high := {it}['high']) is int and low == high"
            f" or relation == 'at_least' and len({it}) == 2 and {low}"
            f" or relation == 'unstated' and len({it}) == 1)"
        )


class ListOf(Field):
    """A list of one kind of thing; a single thing is read as a list of one."""

    def __init__(
        self, help: str, inner: Field, *, least: int = 0, most: int = 1_000, **kwargs: Any
    ) -> None:
        super().__init__(help, **kwargs)
        self.inner, self.least, self.most = inner, least, most

    @property
    def item(self) -> Field:
        return self.inner

    def read(self, value: Any) -> list[Any]:
        items = value if isinstance(value, list) else [value]
        if not self.least <= len(items) <= self.most:
            raise BadValue(f"{len(items)} of them", f"{self.least} to {self.most:,}")
        errors: dict[int, Any] = {}
        normal = [self._read_item(index, item, errors) for index, item in enumerate(items)]
        if errors:  # of a single thing nobody wrote an index
            raise ValidationError(errors if items is value else errors[0])
        return normal

    def _read_item(self, index: int, item: Any, errors: dict[int, Any]) -> Any:
        try:
            return self.inner.deserialize(item)
        except ValidationError as refusal:
            errors[index] = refusal.messages

    def quick(self, it: str, use: Use) -> Lines:
        yield unless(f"type({it}) is list and {self.least} <= len({it}) <= {self.most}")
        yield f"for {it}_ in {it}:"
        yield from indented(self.inner.quick(f"{it}_", use))


def _quantity_as_data(quantity: Quantity) -> dict[str, Any]:
    data: dict[str, Any] = {"relation": quantity.relation}
    for name in ("low", "high", "best", "said"):
        if (part := getattr(quantity, name)) is not None:
            data[name] = part
    if quantity.flags:
        data["flags"] = list(quantity.flags)
    return data


def _quantity_from_parts(parts: Mapping[str, Any]) -> Quantity:
    low, high, best = (
        None if parts.get(name) is None else check_whole(parts[name])
        for name in ("low", "high", "best")
    )
    said = parts.get("said")
    if said is not None:
        said = _WORDS.read(said)
    relation = parts.get("relation")
    if relation is not None and relation not in RELATIONS:
        raise BadValue(relation, "one of " + ", ".join(RELATIONS))
    if low is not None and high is not None and (relation != "about" or low > high):
        return between(low, high, best, said)
    if relation == "about" or (best is not None and relation is None):
        if best is None:
            raise BadValue(dict(parts), "the best figure, as best: 30")
        least = min(best, 1) if high is None else min(best, 1, high)
        return Quantity("about", low=least if low is None else low, high=high, best=best,
                        said=said)
    if low is not None:
        return Quantity("at_least", low=low, best=best, said=said)
    if high is not None:
        return Quantity("at_most", high=high, best=best, said=said)
    return Quantity("unstated", said=said)


class _PlainDays(dict[str, dict[str, str] | None]):
    """By its text the normal form of one day that has no flag; None for all else."""

    def __missing__(self, text: str) -> dict[str, str] | None:
        if len(self) >= 10_000:
            self.clear()
        return self.setdefault(text, _plain_day(text))


_PLAIN_DAYS = _PlainDays()


def _plain_day(text: str) -> dict[str, str] | None:
    try:
        day = read_day(text)
    except BadValue:
        return None
    if day.flags or day.earliest != day.latest or len(text) != 10:
        return None
    return {"edtf": text, "earliest": text, "latest": text}


@lru_cache(maxsize=10_000)
def _is_plain_text(text: str, limit: int) -> bool:
    return text.isprintable() and 0 < len(text.strip()) == len(text) <= limit


def _is_forbidden(character: str) -> bool:
    code = ord(character)
    return (code < 0x20 and character not in "\n\t") or code == 0x7F or 0xD800 <= code <= 0xDFFF


Rule = Callable[[Mapping[str, Any]], None]
