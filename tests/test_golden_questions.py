"""The questions that the ledger is for, asked of the shipped examples: answers that were checked.

Each number was worked out by hand from the sources in the examples before it was written here.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
import sqlalchemy as sa
from fresh_ledgers import KINDS, opener
from recording import question_named, record_example

from ledger.answers.answer import Answer
from ledger.book import now
from ledger.projections.registry import PROJECTIONS
from ledger.rebuild import rebuild
from ledger.store.connect import reading
from ledger.store.read import read_events

Ledgers = Mapping[str, sa.Engine]

NOVEMBER = {"state": "BY", "since": "2025-11-01"}
RELEASE, TALKS, POTASH = (
    f"development/{name}" for name in
    ("by-release-2025-12-13", "by-us-talks-2025-12-13", "us-by-potash-2025-12-13")
)
SUM_OF_THE_TALLY = ["development/by-release-2025-11-20", "development/by-release-2025-11-22",
                    RELEASE]


@pytest.fixture(scope="module", params=KINDS)
def ledgers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ledgers]:
    """The wider record alone, and the article with the wider record after it."""
    fresh = opener(request, request.param, tmp_path_factory.mktemp("golden"))
    with ExitStack() as stack:
        found = {"wider": stack.enter_context(fresh()), "both": stack.enter_context(fresh())}
        record_example(found["both"], "article")
        for engine in found.values():
            record_example(engine, "wider")
            for projection in PROJECTIONS:
                rebuild(engine, projection, now)
        yield found


def published_by(engine: sa.Engine, day: str) -> int:
    """Return the last position of a report that was published by the day."""
    with reading(engine) as connection:
        return max(
            event.position
            for event in read_events(connection)
            if event.data["provenance"].get("published", {}).get("latest", "9999") <= day
        )


def ask(engine: sa.Engine, name: str, by_day: str | None = None, **parameters: Any) -> Answer:
    """Return the answer as of the reports published by a day; None: of all."""
    question = question_named(name)
    as_of = None if by_day is None else published_by(engine, by_day)
    with reading(engine) as connection:
        return question.answer(connection, as_of=as_of, **parameters)


def rows(answer: Answer) -> list[tuple[Any, ...]]:
    """Return the answer's rows, the columns that are shown."""
    return [tuple(row[column] for column in answer.shown) for row in answer]


def test_the_wider_record_stands_in_the_order_of_its_publication(ledgers: Ledgers) -> None:
    """So a position is a day: all that was published by it stands before all that came later."""
    with reading(ledgers["wider"]) as connection:
        published = [
            event.data["provenance"]["published"]["earliest"]
            for event in read_events(connection)
            if "published" in event.data["provenance"]
        ]
    assert published == sorted(published)
    days = ("2025-12-12", "2025-12-13", "2025-12-14", "2026-02-19")
    assert [published_by(ledgers["wider"], day) for day in days] == [23, 35, 37, 39]
    # The article of the 13th was recorded first, so everything stands 13 positions later.
    assert [published_by(ledgers["both"], day) for day in days] == [36, 48, 50, 52]


# In November 2 priests (citizenship not given) and 31 Ukrainians. On the 13th 123: at least 104
# Belarusians and 5 Ukrainians by some pages, at least 1 of each of five others by another one. Of
# the 123 that leaves 9, who may be anybody, and so may the 2 priests.
AS_OF_THE_13TH = [
    ("AU", 1, 12, False, 1), ("BY", 104, 115, False, 1), ("GB", 1, 12, False, 1),
    ("LT", 1, 12, False, 1), ("PL", 1, 12, False, 1), ("UA", 36, 47, False, 2),
    ("US", 1, 12, False, 1),
]
# Then one page makes all 123 Americans: either that holds, or the two lists do.
AS_OF_THE_14TH = [
    ("AU", 0, 12, True, 1), ("BY", 0, 115, True, 1), ("GB", 0, 12, True, 1),
    ("LT", 0, 12, True, 1), ("PL", 0, 12, True, 1), ("UA", 31, 47, True, 2),
    ("US", 1, 125, True, 1),
]
# With the article, which was recorded before, but without what the pages of the 13th add: 123 in
# all, and five citizenships of at least 1.
WITH_THE_ARTICLE = [
    ("AU", 1, 121, False, 1), ("GB", 1, 121, False, 1), ("LT", 1, 121, False, 1),
    ("PL", 1, 121, False, 1), ("UA", 31, 151, False, 1), ("US", 1, 121, False, 1),
]
CITIZENSHIPS: tuple[tuple[Any, ...], ...] = (
    ("wider", "2025-12-12", [("UA", 31, 33, False, 1)], (33, 33, False, 2), 2, []),
    ("wider", "2025-12-13", AS_OF_THE_13TH, (156, 156, False, 3), 11, []),
    ("wider", "2025-12-14", AS_OF_THE_14TH, (156, 156, True, 3), 11, [29, 30, 32, 36]),
    ("both", "2025-12-12", WITH_THE_ARTICLE, (156, 156, False, 3), 120, []),
    ("both", "2025-12-13", AS_OF_THE_13TH, (156, 156, False, 3), 11, []),
    ("both", "2025-12-14", AS_OF_THE_14TH, (156, 156, True, 3), 11, [2, 42, 43, 45, 49]),
)


@pytest.mark.parametrize(("which", "day", "wanted", "total", "other", "disagree"), CITIZENSHIPS)
def test_releases_per_citizenship_since_november(
    ledgers: Ledgers, which: str, day: str, wanted: list[Any], total: tuple[Any, ...], other: int,
    disagree: list[int],
) -> None:
    """What could be said about each citizenship, by the reports that were published by a day."""
    answer = ask(ledgers[which], "releases", day, **NOVEMBER)

    assert rows(answer) == wanted
    assert tuple(answer.total.values()) == total
    assert answer.further == {"any_other_citizenship": {"low": 0, "high": other}}
    assert answer.disputes == (
        [{"development": RELEASE, "positions": disagree}] if disagree else []
    )


def test_what_was_said_in_december_stays_so(ledgers: Ledgers) -> None:
    """The man freed in February counts in the answer of today and not in that of December."""
    today = ask(ledgers["both"], "releases", **NOVEMBER)
    one_more = [("BY", 1, 116, True, 2) if row[0] == "BY" else row for row in AS_OF_THE_14TH]

    assert rows(today) == one_more
    assert tuple(today.total.values()) == (157, 157, True, 4)


def test_whether_the_tally_of_156_is_consistent(ledgers: Ledgers) -> None:
    """123 + 31 + 2 are 156, so it is; the article alone, which has only the 123, is short by 33."""
    with reading(ledgers["both"]) as connection:
        by_itself = question_named("tallies").answer(connection, as_of=13)
    head = (6, "BY", "Straight Arrow News", "2025-11-01", "2025-12-13", 156, 156)
    assert rows(by_itself) == [(*head, 123, 123, "short by 33")]
    assert by_itself.rows[0]["developments"] == [RELEASE]

    answer = ask(ledgers["both"], "tallies", "2025-12-14")
    assert answer.rows[0]["developments"] == SUM_OF_THE_TALLY
    none = (None, None, "not comparable")
    assert rows(answer) == [
        (*head, 156, 156, "consistent"),
        # Stocks are no sum of releases; one tally does not say since when; one is of political
        # prisoners only, which the releases do not say of each.
        (30, "BY", "Bangladesh Post", None, "2025-09-30", 1246, 1246, *none),
        (39, "BY", "vicsun", None, "2025-12-13", 156, 156, *none),
        (47, "BY", "crbcnews", "2024-07-01", "2025-12-13", 431, None, *none),
        (48, "BY", "Benzinga", None, "2025-12-13", 1197, 1197, *none),
    ]


AGREED = "agreed since 2025-12-13 (by position 4)"
ON_THE_12TH = (POTASH, "potash", "lifted", None, None, "2025-12-13", "agreed",
               "agreed perhaps (by position 4)")
ONLY_AGREED = (POTASH, "potash", "lifted", "agreed", "2025-12-13", None, None, AGREED)
ONE_COMPANY = (POTASH, "Belaruskali", "lifted", "done", "2025-12-13", None, None,
               "done since 2025-12-13 (by position 41)")
THE_SECTOR = (POTASH, "potash", "lifted", "done", "2025-12-13", None, None,
              f"{AGREED}; done since 2025-12-13 (by position 46)")


@pytest.mark.parametrize(
    ("by_day", "on_day", "wanted"),
    [
        ("2025-12-12", "2025-12-12", [ON_THE_12TH]),
        ("2025-12-12", "2025-12-13", [ONLY_AGREED]),
        ("2025-12-13", "2025-12-12", [ON_THE_12TH]),
        ("2025-12-13", "2025-12-13", [ONE_COMPANY, THE_SECTOR]),
        ("2025-12-14", "2025-12-14", [ONE_COMPANY, THE_SECTOR]),
    ],
)
def test_potash_sanctions_at_which_stage(
    ledgers: Ledgers, by_day: str, on_day: str, wanted: list[Any]
) -> None:
    """Agreed by the 13th, perhaps before; done on the 13th, by the envoy and by another page."""
    answer = ask(ledgers["both"], "sanctions", by_day, state="BY", valid_at=on_day)

    assert [row for row in rows(answer) if row[0] == POTASH] == wanted


SAYS: tuple[list[str], list[str]] = (["Straight Arrow News"], [])
Stages = tuple[str | None, str | None]
"""How far something went, and how far else it may have gone."""
DONE: Stages = ("done", None)


@pytest.mark.parametrize(
    ("by_day", "on_day", "release", "talks", "potash"),
    [
        ("2025-12-12", "2025-12-12", (None, None), (None, "done"), (None, "agreed")),
        ("2025-12-12", "2025-12-13", DONE, DONE, ("agreed", None)),
        ("2025-12-13", "2025-12-13", DONE, DONE, DONE),
        (None, None, DONE, DONE, DONE),
    ],
)
def test_what_was_given_in_return_for_what(
    ledgers: Ledgers, by_day: str | None, on_day: str | None, release: Stages,
    talks: Stages, potash: Stages,
) -> None:
    """One paper says that potash was given for the release; nobody else says it or denies it.

    On the 12th the talks may have been held, and the lifting agreed.
    """
    answer = ask(ledgers["both"], "exchanges", by_day, valid_at=on_day)

    assert rows(answer) == [
        (RELEASE, *release, "follows", TALKS, *talks, *SAYS, [3]),
        (POTASH, *potash, "in_exchange_for", RELEASE, *release, *SAYS, [5]),
    ]
    assert answer.disputes == []


HE = "person/p-8d2x"
"""He would not cross the border in September, was taken back, and was freed in February."""


@pytest.mark.parametrize(
    ("by_day", "on_day", "wanted"),
    [
        ("2025-09-15", None, [(HE, None, None, None, None, ["BY"], [26])]),
        ("2025-12-14", "2025-09-14",
         [(HE, None, None, "2025-09-15", "back in custody", ["BY"], [26, 28])]),
        ("2025-12-14", "2025-12-14",
         [(HE, "back in custody", "2025-09-15", None, None, ["BY"], [26, 28])]),
        (None, "2025-12-14",
         [(HE, "back in custody", "2025-09-15", "2026-02-19", None, ["BY"], [26, 28, 51])]),
        (None, None, [(HE, "free", "2026-02-19", None, None, ["BY"], [26, 28, 51, 52])]),
    ],
)
def test_who_is_back_in_custody(
    ledgers: Ledgers, by_day: str | None, on_day: str | None, wanted: list[Any]
) -> None:
    """One man is, from 15 September 2025 at the latest until 19 February 2026."""
    found = rows(ask(ledgers["both"], "people", by_day, valid_at=on_day))

    assert [row for row in found if row[0] == HE] == wanted
    assert not [row for row in found if row[0] != HE and "back in custody" in (row[1], row[4])]


@pytest.mark.parametrize(("rule", "low", "high"), [
    ({}, 264, 266),
    ({"reversals": "net"}, 263, 265),
    ({"until": "2025-09-11"}, 82, 84),
    ({"reversals": "net", "until": "2025-09-11"}, 81, 84),
    ({"reversals": "net", "until": "2025-09-16"}, 106, 108),
    ({"count": "persons"}, 123, 266),
])
def test_how_many_by_which_rule(
    ledgers: Ledgers, rule: dict[str, str], low: int, high: int
) -> None:
    """One of the 52 freed on 11 September was back by the 15th, so net is one less from then on;
    who was freed at one time may be among those of another, so of persons 123 are sure."""
    answer = ask(ledgers["both"], "releases", state="BY", **rule)
    assert (answer.total["low"], answer.total["high"]) == (low, high)


# TASS names an American among 14, the Lithuanian list of 14 has no room for one; MENAFN's 10
# foreigners leave 4 Belarusians, not 5. In September one page has 16, and another one has July.
IN_SUMMER = ("development/by-release-2025-06-21", "PrisonersReleased", "done", "how many",
             [15, 16, 18])
JUNE = ("development/by-release-2025-06-21", "PrisonersReleased", "done", "how many, when",
        [15, 16, 17, 18, 19, 20])
# All Americans, against whoever lists somebody else; BBC's seven foreigners can be Americans.
DECEMBER = (RELEASE, "PrisonersReleased", "done", "how many", [2, 42, 43, 45, 49])
# He alone would not leave; he and three others would not.
REFUSED = ("development/by-release-2025-09-11", "PrisonersReleased", "refused", "how many",
           [26, 51])


@pytest.mark.parametrize(
    ("by_day", "wanted"),
    [
        ("2025-09-10", [IN_SUMMER]), ("2025-12-12", [JUNE]), ("2025-12-13", [JUNE]),
        ("2025-12-14", [JUNE, DECEMBER]), (None, [JUNE, REFUSED, DECEMBER]),
    ],
)
def test_which_developments_are_disputed(
    ledgers: Ledgers, by_day: str | None, wanted: list[Any]
) -> None:
    """Those whose reports cannot all hold, each from the report on that contradicts the others."""
    assert rows(ask(ledgers["both"], "disputes", by_day)) == wanted
