"""Countries: which words mean which code, which are refused, and that the table is sound."""

import subprocess
import sys
import unicodedata
from pathlib import Path

import pycountry
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import BadValue
from ledger.values.country import CODES, Country, name_of, read_country
from ledger.values.country import _key as key
from ledger.values.country import _rows as rows

MEANINGS = [
    # codes
    ("BY", "BY"),
    ("NA", "NA"),
    ("XK", "XK"),
    ("SU", "SU"),
    ("CS", "CS"),
    ("UK", "GB"),
    ("EL", "GR"),
    ("GBR", "GB"),
    ("BLR", "BY"),
    ("NAM", "NA"),
    ("PRK", "KP"),
    ("SUN", "SU"),
    ("YUG", "YU"),
    ("CSK", "CS"),
    ("DDR", "DD"),
    ("ZAR", "ZR"),
    # codes and abbreviations in a sentence
    ("the UK", "GB"),
    ("U.K.", "GB"),
    ("u.k.", "GB"),
    ("U.S.", "US"),
    ("the U.S.", "US"),
    ("the US", "US"),
    ("U.S", "US"),
    ("U.S.A.", "US"),
    ("USA", "US"),
    ("UAE", "AE"),
    ("DRC", "CD"),
    ("DPRK", "KP"),
    ("ROK", "KR"),
    ("PRC", "CN"),
    ("USSR", "SU"),
    ("U.S.S.R.", "SU"),
    ("GDR", "DD"),
    # the five of the December release, and those beside them
    ("Australia", "AU"),
    ("Britain", "GB"),
    ("Lithuania", "LT"),
    ("Poland", "PL"),
    ("United States", "US"),
    ("the United States of America", "US"),
    ("America", "US"),
    ("Americans", "US"),
    ("Belarusian", "BY"),
    ("Belarusians", "BY"),
    ("belarussian", "BY"),
    ("Belorussian", "BY"),
    ("Byelorussia", "BY"),
    ("Ukrainians", "UA"),
    ("Latvian", "LV"),
    ("Japanese", "JP"),
    ("Poles", "PL"),
    # the parts of the United Kingdom
    ("Great Britain", "GB"),
    ("British", "GB"),
    ("Britons", "GB"),
    ("England", "GB"),
    ("Scottish", "GB"),
    ("Welsh", "GB"),
    ("Northern Ireland", "GB"),
    ("Irish", "IE"),
    ("Republic of Ireland", "IE"),
    # names that changed, names that differ
    ("Türkiye", "TR"),
    ("TÜRKİYE", "TR"),
    ("TURKEY", "TR"),
    ("Turkey", "TR"),
    ("Turkiye", "TR"),
    ("Burma", "MM"),
    ("Burmese", "MM"),
    ("Myanmar", "MM"),
    ("Ivory Coast", "CI"),
    ("Côte d'Ivoire", "CI"),
    ("Côte d’Ivoire", "CI"),  # noqa: RUF001 - the curly apostrophe of a newspaper
    ("Cote d'Ivoire", "CI"),
    ("Cape Verde", "CV"),
    ("Cabo Verde", "CV"),
    ("Swaziland", "SZ"),
    ("Eswatini", "SZ"),
    ("Czechia", "CZ"),
    ("Czech Republic", "CZ"),
    ("Czechs", "CZ"),
    ("Macedonia", "MK"),
    ("Macedonian", "MK"),
    ("FYROM", "MK"),
    ("Vatican", "VA"),
    ("the Holy See", "VA"),
    ("Palestine", "PS"),
    ("State of Palestine", "PS"),
    ("Palestinians", "PS"),
    ("Taiwan", "TW"),
    ("Taiwanese", "TW"),
    ("Kosovo", "XK"),
    ("Kosovar", "XK"),
    ("Russia", "RU"),
    ("Russian Federation", "RU"),
    ("Iran", "IR"),
    ("Iran (Islamic Republic of)", "IR"),
    ("Syria", "SY"),
    ("Syrian Arab Republic", "SY"),
    ("North Korea", "KP"),
    ("Democratic People's Republic of Korea", "KP"),
    ("Democratic People’s Republic of Korea", "KP"),  # noqa: RUF001 - as above
    ("South Koreans", "KR"),
    ("Republic of Korea", "KR"),
    ("Laos", "LA"),
    ("Vietnam", "VN"),
    ("Viet Nam", "VN"),
    ("Bolivia", "BO"),
    ("Venezuela", "VE"),
    ("Tanzania", "TZ"),
    ("Moldova", "MD"),
    ("Micronesia", "FM"),
    ("Emirati", "AE"),
    ("Emiratis", "AE"),
    ("Holland", "NL"),
    ("Dutch", "NL"),
    ("The Netherlands", "NL"),
    ("the gambia", "GM"),
    ("East Timor", "TL"),
    ("Azeri", "AZ"),
    ("Kazakh", "KZ"),
    ("St. Lucia", "LC"),
    ("Åland Islands", "AX"),
    ("Hong Kong", "HK"),
    # neighbours in spelling
    ("Niger", "NE"),
    ("Nigerien", "NE"),
    ("Nigeria", "NG"),
    ("Nigerian", "NG"),
    ("Guinea", "GN"),
    ("Guinea-Bissau", "GW"),
    ("Equatorial Guinea", "GQ"),
    ("Papua New Guinea", "PG"),
    ("Georgia", "GE"),
    ("Dominica", "DM"),
    ("Dominican Republic", "DO"),
    ("Austrian", "AT"),
    ("Australian", "AU"),
    ("Samoa", "WS"),
    ("American Samoa", "AS"),
    ("DR Congo", "CD"),
    ("Democratic Republic of the Congo", "CD"),
    ("Congo-Kinshasa", "CD"),
    ("Congo-Brazzaville", "CG"),
    ("Republic of the Congo", "CG"),
    ("South Sudan", "SS"),
    ("U.S. Virgin Islands", "VI"),
    # states that are no more
    ("Zaire", "ZR"),
    ("Soviet Union", "SU"),
    ("Soviet", "SU"),
    ("Yugoslavia", "YU"),
    ("Yugoslavs", "YU"),
    ("Czechoslovakia", "CS"),
    ("East Germany", "DD"),
    ("West Germany", "DE"),
    # no country
    ("stateless", "stateless"),
    ("Stateless", "stateless"),
    ("UNKNOWN", "unknown"),
    # white space, case, composition
    ("  united \t kingdom\n", "GB"),
    ("New\u00a0Zealand", "NZ"),
    ("CHAD", "TD"),
    (unicodedata.normalize("NFD", "Côte d'Ivoire"), "CI"),
    (unicodedata.normalize("NFD", "São Tomé and Príncipe"), "ST"),
]

NOWHERE = "a country's name or ISO 3166-1 code"

REFUSALS = [
    # several countries
    ("Congo", "CD (DR Congo) or CG (Congo Republic)"),
    ("the Congo", "CD (DR Congo) or CG (Congo Republic)"),
    ("Congolese", "CD (DR Congo) or CG (Congo Republic)"),
    ("Korea", "KP (North Korea) or KR (South Korea)"),
    ("Koreans", "KP (North Korea) or KR (South Korea)"),
    ("Dominican", "DM (Dominica) or DO (Dominican Republic)"),
    ("Virgin Islands", "VG (British Virgin Islands) or VI (U.S. Virgin Islands)"),
    ("Republic of China", "CN (China) or TW (Taiwan)"),
    ("St Martin", "MF (Saint Martin (French part)) or SX (Sint Maarten)"),
    ("Channel Islands", "GG (Guernsey) or JE (Jersey)"),
    ("Serbia and Montenegro", "ME (Montenegro) or RS (Serbia) or YU (Yugoslavia)"),
    ("SCG", "ME (Montenegro) or RS (Serbia) or YU (Yugoslavia)"),
    ("Netherlands Antilles", "BQ (Caribbean Netherlands) or CW (Curaçao) or SX (Sint Maarten)"),
    # codes and abbreviations not in capitals are words
    ("na", NOWHERE),
    ("Na", NOWHERE),
    ("us", NOWHERE),
    ("Us", NOWHERE),
    ("uk", NOWHERE),
    ("by", NOWHERE),
    ("no", NOWHERE),
    ("in", NOWHERE),
    ("can", NOWHERE),
    ("per", NOWHERE),
    ("car", NOWHERE),
    # codes that are not ISO 3166-1, or are retired and not kept
    ("ZZ", NOWHERE),
    ("XX", NOWHERE),
    ("EU", NOWHERE),
    ("AN", NOWHERE),
    ("BU", NOWHERE),
    ("GER", NOWHERE),
    # near misses, and words about no country
    ("N/A", NOWHERE),
    ("n.a.", NOWHERE),
    ("none", NOWHERE),
    ("", NOWHERE),
    ("the", NOWHERE),
    ("the ", NOWHERE),
    (" ", NOWHERE),
    ("?", NOWHERE),
    ("Belaru", NOWHERE),
    ("Belarus.", NOWHERE),
    ("citizen of Belarus", NOWHERE),
    ("Belarus, Poland", NOWHERE),
    ("Europe", NOWHERE),
    ("foreign", NOWHERE),
    ("Chechen", NOWHERE),
    ("Kurdish", NOWHERE),
    ("Northern Cyprus", NOWHERE),
    ("Abkhazia", NOWHERE),
    ("Minsk", NOWHERE),
    # no text at all
    (None, NOWHERE),
    (616, NOWHERE),
    (["BY"], NOWHERE),
]

SHORT_NAMES = [
    ("GB", "United Kingdom"),
    ("US", "United States"),
    ("RU", "Russia"),
    ("IR", "Iran"),
    ("TR", "Türkiye"),
    ("KP", "North Korea"),
    ("SY", "Syria"),
    ("TW", "Taiwan"),
    ("VA", "Vatican City"),
    ("CS", "Czechoslovakia"),
    ("XK", "Kosovo"),
    ("stateless", "stateless"),
    ("unknown", "unknown"),
]

BEYOND_ISO = {"SU", "YU", "CS", "DD", "ZR", "XK", "stateless", "unknown"}
CHECKOUT = Path(__file__).parents[1]
ALPHA_2 = {country.alpha_2 for country in pycountry.countries}


@pytest.mark.parametrize(("said", "code"), MEANINGS)
def test_meaning(said: str, code: str) -> None:
    """A word of the field means one code, and is kept beside it exactly as given."""
    assert read_country(said) == Country(code, said)


@pytest.mark.parametrize(("said", "wanted"), REFUSALS)
def test_refusal(said: str, wanted: str) -> None:
    """A word that means no country or several is refused, several with the choices."""
    with pytest.raises(BadValue) as refused:
        read_country(said)

    assert refused.value.got is said
    assert refused.value.wanted.startswith(wanted)


@pytest.mark.parametrize(("code", "name"), SHORT_NAMES)
def test_short_name(code: str, name: str) -> None:
    """A code has the short name that a reader expects, not the long official one."""
    assert name_of(code) == name


@pytest.mark.parametrize("code", ["ZZ", "by", "GBR", "UK", ""])
def test_name_of_no_code(code: str) -> None:
    """Only a code itself has a name: what merely reads as one is refused."""
    with pytest.raises(BadValue, match="wanted one of the country codes"):
        name_of(code)


def test_codes() -> None:
    """The codes are all of ISO 3166-1 and eight more, no others."""
    assert len(ALPHA_2) > 240
    assert CODES == ALPHA_2 | BEYOND_ISO


@pytest.mark.parametrize("code", sorted(CODES))
def test_round_trip(code: str) -> None:
    """Every code reads as itself and its name reads back as it."""
    assert read_country(code).code == code
    assert read_country(name_of(code)).code == code
    assert read_country(name_of(code).upper()).code == code


def test_every_iso_name_agrees() -> None:
    """Every name and three-letter code of ISO 3166-1 reads as its country, save "Congo"."""
    wrong = {
        word
        for country in pycountry.countries
        for field, word in country
        if field in ("alpha_3", "name", "official_name", "common_name")
        if _code_or_none(word) != country.alpha_2
    }

    assert wrong == {"Congo"}


def test_no_word_has_two_meanings() -> None:
    """No two rows of the table share a word, also once case and spacing are gone."""
    meanings: dict[str, tuple[str, ...]] = {}
    for codes, _, words in rows():
        for word in words:
            assert meanings.setdefault(key(word), codes) == codes, word

    assert len(meanings) > 1000


def test_rows_are_well_formed() -> None:
    """A row has one code and a name, or several known codes in order and no name."""
    seen = list(rows())

    assert len(seen) > len(CODES)
    for codes, name, words in seen:
        assert bool(name) == (len(codes) == 1), codes
        assert set(codes) <= CODES
        assert list(codes) == sorted(set(codes))
        assert all(word and word == " ".join(word.split()) for word in words), codes


def test_no_two_letter_word() -> None:
    """The table adds two-letter words only for UK and EL, and only in capitals."""
    short = {key(word) for _, _, words in rows() for word in words if len(word) < 3}

    assert short == {"UK", "EL"}


def test_nearly_every_iso_country_has_a_demonym() -> None:
    """All but a handful of uninhabited or tiny territories have a word beside their names."""
    bare = {codes[0] for codes, name, words in rows() if name and len(words) == 1}

    assert bare - BEYOND_ISO <= {"AQ"}


def test_plain_words_load_no_names() -> None:
    """Reading codes and the table's own words does not load pycountry."""
    program = (
        "import sys; from ledger.values.country import read_country;"
        "[read_country(word) for word in ('BY', 'U.S.', 'Belarusians')];"
        "sys.exit('pycountry' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT).returncode == 0


@given(st.text(max_size=20))
def test_any_text_is_a_known_code_or_a_refusal(text: str) -> None:
    """Whatever the text, it is refused or gives one of the codes."""
    assert _code_or_none(text) in CODES | {None}


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=3))
def test_short_lower_case_is_never_a_country(text: str) -> None:
    """No lower-case word of up to three letters is a country, except the Lao."""
    assert _code_or_none(text) is None or text == "lao"


def _code_or_none(text: str) -> str | None:
    try:
        return read_country(text).code
    except BadValue:
        return None
