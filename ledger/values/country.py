"""Countries as sources name them: a code, and the source's own words beside it.

Takes a code, a name or a demonym and hands on a `Country`. Codes are ISO 3166-1 alpha-2, the
retired SU, YU, CS (Czechoslovakia only), DD and ZR, XK for Kosovo, `stateless` and `unknown`.

Words are looked up whole in one table, `country_names.tsv`, then among the ISO 3166-1 names and
three-letter codes of pycountry. Nothing is matched by likeness: a near miss would put a person
under the wrong country. A word that several countries share is refused with the choices.

Two-letter codes of other systems look the same and mean other countries (BO is Bolivia here and
Belarus in FIPS 10-4), so whoever imports such data translates its codes first.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from ledger.errors import BadValue

_WANTED = "a country's name or ISO 3166-1 code (in capitals), stateless or unknown"
_CURLY = str.maketrans("‘’ʼ", "'''")  # noqa: RUF001 - these are the characters to replace

_Words = dict[str, tuple[str, ...]]
"""A word to the codes that it can mean: abbreviations as written, all else in folded case."""


@dataclass(frozen=True, slots=True)
class Country:
    """A country's code, and the words that it was read from, exactly as given."""

    code: str
    said: str


def read_country(text: str) -> Country:
    """Return the one country that the text names; raise BadValue if it names none or several.

    Codes and abbreviations count in capitals only ("NA" is Namibia, "na" is nothing); names and
    demonyms in any case. The first text that only pycountry knows costs its loading, 0.1 seconds.
    """
    if not isinstance(text, str):
        raise BadValue(text, _WANTED)
    if text in _NAMES:
        return Country(text, text)
    codes = _codes_of(_tidied(text))
    if len(codes) != 1:
        raise BadValue(text, " or ".join(f"{code} ({_NAMES[code]})" for code in codes) or _WANTED)
    return Country(codes[0], text)


@lru_cache(maxsize=10_000)  # names of organisations are asked about again and again
def is_country(text: str) -> bool:
    """Return whether the text names one country, as `read_country` reads it."""
    try:
        read_country(text)
    except BadValue:
        return False
    return True


def name_of(code: str) -> str:
    """Return the short English name for a code of `CODES`; raise BadValue for any other.

    Every name reads back as its code.
    """
    if code not in _NAMES:
        raise BadValue(code, "one of the country codes, like BY, XK or stateless")
    return _NAMES[code]


def _codes_of(word: str) -> tuple[str, ...]:
    if word in _NAMES:
        return (word,)
    folded = word.casefold()
    return (
        _WORDS.get(word)
        or _WORDS.get(folded)
        or _iso_words().get(word)
        or _iso_words().get(folded)
        or ()
    )


def _tidied(text: str) -> str:
    """Return the text without the differences that never tell two countries apart."""
    plain = " ".join(unicodedata.normalize("NFC", text).translate(_CURLY).split())
    return plain[4:] if plain[:4].casefold() == "the " else plain


def _key(word: str) -> str:
    """Return the form that a word is found by: capitals only (UK) as written, else folded."""
    plain = _tidied(word)
    return plain if plain.isalpha() and plain.isupper() else plain.casefold()


def _rows() -> Iterator[tuple[tuple[str, ...], str, list[str]]]:
    """Yield (codes, display name, words) for each row of the table, which says what they mean."""
    text = Path(__file__).with_name("country_names.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line and not line.startswith("#"):
            codes, name, further = [*line.split("\t"), "", ""][:3]
            yield tuple(codes.split("|")), name, _spelled_out(name, further)


def _spelled_out(name: str, further: str) -> list[str]:
    words = [name] if name else []
    for word in filter(None, further.split("|")):
        stem = word.removesuffix("(s)")
        words += [stem] if stem == word else [stem, stem + "s"]
    return words


def _read_table() -> tuple[dict[str, str], _Words]:
    names: dict[str, str] = {}
    words: _Words = {}
    for codes, name, spelled in _rows():
        if name:
            names[codes[0]] = name
        words.update((_key(word), codes) for word in spelled)
    return names, words


@cache
def _iso_words() -> _Words:
    """Return what ISO 3166-1 adds to the table, which is asked first and so has the last word."""
    import pycountry  # here, because it takes longer to load than all else and is seldom needed

    return {
        _key(word): (country.alpha_2,)
        for country in pycountry.countries
        if country.alpha_2 in _NAMES
        for field, word in country
        if field in ("alpha_3", "name", "common_name", "official_name")
    }


_NAMES, _WORDS = _read_table()

CODES: frozenset[str] = frozenset(_NAMES)
"""Every code that the ledger records."""
