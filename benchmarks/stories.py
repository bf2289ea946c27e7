"""The stories of a generated world: what happened, and what its sources say about it.

Takes a random generator; hands on Drafts, in the normal form that is recorded, one story at a time.
A story is a generator: a Draft has a list that holds the event's position once it is recorded.
"""

from collections import deque
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

Data = dict[str, Any]

NAMES = (
    "RU Russia|UA Ukraine|US United States|BY Belarus|CN China|IR Iran|TR Turkey|SY Syria|"
    "VE Venezuela|IL Israel|PK Pakistan|IN India|AF Afghanistan|EG Egypt|SA Saudi Arabia|"
    "YE Yemen|IQ Iraq|ET Ethiopia|SD Sudan|MM Myanmar|NI Nicaragua|CU Cuba|GE Georgia|"
    "AZ Azerbaijan|AM Armenia|KZ Kazakhstan|UZ Uzbekistan|TJ Tajikistan|PL Poland|LT Lithuania|"
    "LV Latvia|DE Germany|FR France|GB United Kingdom|RS Serbia|HU Hungary|LB Lebanon|JO Jordan|"
    "QA Qatar|AE United Arab Emirates|ML Mali|NE Niger|BF Burkina Faso|NG Nigeria|CM Cameroon|"
    "CD Democratic Republic of the Congo|RW Rwanda|BI Burundi|UG Uganda|SO Somalia|ER Eritrea|"
    "TN Tunisia|DZ Algeria|LY Libya|MA Morocco|VN Vietnam|TH Thailand|KH Cambodia|"
    "KP North Korea|JP Japan"
)
OTHERS = (
    "AO AL AD AR AG AU AT BE BJ BD BG BH BS BA BZ BO BR BB BN BT BW CF CA CH CL CI CG CO KM CV CR "
    "CY CZ DJ DM DK DO EC ES EE FI FJ FM GA GH GN GM GW GQ GR GD GT GY HN HR HT ID IE IS IT JM KE "
    "KG KI KN KR KW LA LR LC LI LK LS LU MC MD MG MV MX MH MK MT ME MN MZ MR MU MW MY NA NL NO NP "
    "NR NZ OM PA PE PH PW PG PT PY PS RO SN SG SB SL SV SS ST SR SK SI SE SZ SC TD TG TM TL TO TT "
    "TV TZ UY VA VC VU WS ZA ZM ZW"
)
COUNTRY = {part[:2]: {"code": part[:2], "said": part[3:]} for part in NAMES.split("|")}
COUNTRY |= {code: {"code": code, "said": code} for code in OTHERS.split()}
STATES = tuple(COUNTRY)
"""The members and observers of the United Nations but for `QUIET`, the busiest first."""
QUIET = "SM"
"""Has a few developments among the first events, and none later."""
QUIET_STORIES = 8
BUSY = list(accumulate((rank + 1) ** -0.84 for rank in range(len(STATES))))
PUBLISHERS = tuple(f"Newspaper {number}" for number in range(150))
FIRST_DAY = date(2023, 1, 1)
DAYS = 1_000
UNSTATED = {"relation": "unstated"}
MEASURES = ("trade", "finance", "asset_freeze", "travel", "arms", "transport")


class Draft(NamedTuple):
    """An event before it has a position."""

    type: str
    stream: str
    data: Data
    seen: list[Any] | None = None
    """Is given the position, then the digests of the sealed fields, once they are known."""


Story = Iterator[Draft]


class Teller:
    """Tells stories; what is said about whom depends on nothing but the generator."""

    def __init__(self, rng: Random, count: int) -> None:
        self.rng, self.count = rng, count
        self.position = 1
        """Of the event that is asked for: days go on with the log."""
        self.told: dict[str, int] = {}
        self.talks: deque[str] = deque(maxlen=200)
        self.persons: deque[str] = deque(["person/p-0"], maxlen=2_000)
        self._tell: dict[str, Callable[[int], Story]] = {
            "coded": self._coded, "release": self._custody, "detention": self._detention,
            "sanction": self._sanction, "talk": self._talk, "statement": self._statement,
            "tally": self._tally, "person": self._person, "source": self._source,
        }

    def story(self, lane: str) -> Story:
        """Return the next story of a lane; its first draft is always there."""
        number = self.told[lane] = self.told.get(lane, 0) + 1
        return self._tell[lane](number)

    def _custody(
        self, number: int, type: str = "PrisonersReleased", word: str = "release"
    ) -> Story:
        rng, state = self.rng, self._state(number)
        stream = f"development/{state.lower()}-{word}-{number}"
        happened = self._day()
        total = min(int(rng.paretovariate(0.9)) + rng.randrange(4), 900)
        held = rng.sample(STATES, rng.choice((0, 1, 1, 2, 3, 5)))
        people = [self._named_person() for _ in range(rng.choice((0, 0, 1, 2)))]
        stages = ["done"] * rng.randint(2, 5)
        if rng.random() < 0.3:
            stages.insert(0, rng.choice(("promised", "ordered", "agreed")))
        if rng.random() < 0.05:
            stages.append("reversed")
        reports: list[tuple[list[Any], Data]] = []
        for stage in stages:
            data = self._people_report(state, happened, total, held, people, stage, word)
            reports.append(([], data))
            yield Draft(type, stream, data, reports[-1][0])
        yield from self._kept(type, stream, reports)
        if rng.random() < 0.06:
            same = rng.random() < 0.8 or state == QUIET
            other = state if same else self._state(QUIET_STORIES + 1)
            again = f"development/{other.lower()}-{word}-{number}-again"
            for _ in range(rng.randint(1, 2)):
                data = self._people_report(other, happened, total, held, people, "done", word)
                yield Draft(type, again, data)
            yield from self._merged(stream, again, "DevelopmentsMerged")
        if self.talks and rng.random() < 0.15:
            yield from self._linked(stream, rng.choice(self.talks))

    def _detention(self, number: int) -> Story:
        return self._custody(number, "PrisonersDetained", "arrest")

    def _people_report(
        self, state: str, happened: date, total: int, held: list[str],
        people: list[Data], stage: str, word: str,
    ) -> Data:
        rng = self.rng
        chance = rng.random()
        stated: Data = exact(total)
        if chance < 0.10:
            stated = exact(total + rng.randint(1, 5))  # contradicts the others
        elif chance < 0.25:
            stated = at_least(max(1, total - rng.randint(0, 3)))
        elif chance < 0.35:
            stated = UNSTATED
        shares = [
            {"citizenship": COUNTRY[code], "count": exact(1) if rng.random() < 0.3 else at_least(1)}
            for code in held
            if rng.random() < 0.8
        ]
        complete = 0 < len(shares) == len(held) and rng.random() < 0.15
        if complete:
            shares[0]["count"] = at_least(1)
        return {
            "when": self._said_day(happened),
            "provenance": self._provenance(happened),
            "by": {"country": country(state)},
            "total": stated,
            "citizenships": shares if total >= len(held) else [],
            "exhaustive": complete and total >= len(held),
            "destinations": [],
            "persons": [person for person in people if rng.random() < 0.7][:total],
            "category": rng.choice(("political", "prisoner_of_war", "unstated")),
            "stage": stage,
            "act": word,
        }

    def _sanction(self, number: int) -> Story:
        rng, state = self.rng, self._state(number)
        sender = self._state(QUIET_STORIES + 1)
        stream = f"development/{sender.lower()}-{state.lower()}-measure-{number}"
        kind = rng.choice(("state", "sector", "entity", "entity", "person"))
        name = "person" if kind == "person" else "name"
        target = {"kind": kind, name: f"Target {number}", "country": country(state)}
        measures = rng.sample(MEASURES, rng.randint(1, 3))
        course = [("SanctionsImposed", stage) for stage in ("promised", "agreed", "done", "done")]
        course = course[rng.randrange(3):]
        if rng.random() < 0.3:
            course += [("SanctionsEased", "agreed"), ("SanctionsLifted", "done")]
        reports: list[tuple[list[Any], Data]] = []
        happened = self._day()
        for type, stage in course:
            happened += timedelta(days=rng.randrange(20))
            reports.append(([], {
                "when": day(happened), "provenance": self._provenance(happened), "stage": stage,
                "sender": {"country": country(sender)}, "target": target, "measures": measures,
                "programme": f"Programme {number % 40}", "announced": day(happened),
            }))
            yield Draft(type, stream, reports[-1][1], reports[-1][0])
        yield from self._kept(course[-1][0], stream, reports[-1:])
        if self.talks and rng.random() < 0.1:
            yield from self._linked(stream, rng.choice(self.talks))

    def _talk(self, number: int) -> Story:
        rng = self.rng
        sides = [self._state(number), self._state(QUIET_STORIES + 1)]
        parties = [{"country": country(code)} for code in dict.fromkeys(sides)]
        rest = f"{sides[0].lower()}-{sides[1].lower()}-{number}"
        happened = self._day()
        common = {"when": day(happened), "provenance": self._provenance(happened)}
        stream = f"development/talks-{rest}"
        report = {
            **common, "stage": "done", "parties": parties, "form": rng.choice(("visit", "call")),
            "participants": [{"name": f"Envoy {rng.randrange(5_000)}", "role": "envoy"}],
            "place": {"name": "the capital", "country": country(sides[0])},
            "subjects": ["release of prisoners"],
        }
        reports: list[tuple[list[Any], Data]] = [([], report)]
        yield Draft("TalksHeld", stream, report, reports[0][0])
        self.talks.append(stream)
        for _ in range(rng.randrange(3)):
            again = {**report, "when": self._said_day(happened),
                     "provenance": self._provenance(happened)}
            reports.append(([], again))
            yield Draft("TalksHeld", stream, again, reports[-1][0])
        yield from self._kept("TalksHeld", stream, reports)
        if rng.random() < 0.5:
            yield Draft("AgreementReached", f"development/agreement-{rest}", {
                **common, "stage": "agreed", "parties": parties, "subject": "exchange of prisoners",
                "terms": ["all for all", f"by the end of month {rng.randint(1, 12)}"],
            })
            yield from self._linked(f"development/agreement-{rest}", stream)
        if rng.random() < 0.5:
            yield Draft("CommitmentMade", f"development/commitment-{rest}", {
                **common, "stage": "promised", "by": parties[-1], "to": parties[0],
                "subject": "lifting of sanctions", "terms": [],
            })
            yield from self._linked(f"development/commitment-{rest}", stream)

    def _statement(self, number: int) -> Story:
        state, happened = self._state(number), self._day()
        yield Draft("StatementMade", f"development/{state.lower()}-statement-{number}", {
            "when": day(happened), "provenance": self._provenance(happened), "stage": "done",
            "by": {"country": country(state)}, "speaker": f"Minister {number % 300}",
            "subject": "relations", "terms": ["talks go on", f"point {number % 17}"],
        })

    def _tally(self, number: int) -> Story:
        rng, state = self.rng, self._state(number)
        publisher = rng.randrange(5)
        stream = f"tally/{state.lower()}-released-{publisher}-{number // 2_000}"
        happened = self._day()
        report = {
            "by": {"country": country(state)}, "of": "released", "measure": "cumulative",
            "since": day(max(FIRST_DAY, happened - timedelta(days=rng.randint(10, 300)))),
            "when": day(happened), "total": exact(rng.randint(1, 2_000)), "citizenships": [],
            "exhaustive": False, "category": "unstated",
            "provenance": self._provenance(happened, publisher),
        }
        reports: list[tuple[list[Any], Data]] = [([], report)]
        yield Draft("TallyReported", stream, report, reports[0][0])
        yield from self._kept("TallyReported", stream, reports)

    def _coded(self, number: int) -> Story:
        """A snapshot of a data set, then its rows, each a stream of its own."""
        rng = self.rng
        dataset, table, slug = rng.choice((
            ("GDELT 2.0", "CAMEO 1.1b3", "gdelt"), ("POLECAT", "PLOVER 2021", "polecat"),
            ("ICEWS", "CAMEO 1.1b3", "icews"),
        ))
        rows = rng.randint(20, 400)
        happened = self._day()
        source = self._provenance(happened)
        document = f"{rng.getrandbits(256):064x}"
        yield Draft("SnapshotImported", f"listing/{slug}/s-{number}", {
            "dataset": dataset, "retrieved": day(happened), "document_sha256": document,
            "rows": rows, "added": rows, "changed": 0, "removed": 0, "provenance": source,
        })
        for row in range(rows):
            code = f"{rng.randint(1, 20):02}{rng.randrange(10)}"
            mentions = rng.randint(1, 90)
            yield Draft("CodedEvent", f"development/{slug}-{number}-{row}", {
                "when": day(happened), "stage": "done", "dataset": dataset,
                "provenance": {**source, "document_sha256": document, "locator": f"row {row}"},
                "table_version": table, "code": code, "row": f"{number}-{row}",
                "actors": [{"role": "source", "code": self._actor()},
                           {"role": "target", "code": self._actor()}],
                "counts": {"mentions": mentions, "sources": 1, "articles": mentions},
            })

    def _person(self, number: int) -> Story:
        rng, stream = self.rng, f"person/p-{number}"
        seen: list[Any] = []
        yield Draft("PersonIdentified", stream, {
            "name": f"Person {number}", "aliases": [f"P. {number}"], "basis": "stated",
            "born": day(date(1950 + number % 55, number % 12 + 1, number % 28 + 1)),
            "citizenships": [COUNTRY[code] for code in rng.sample(STATES, rng.choice((1, 1, 2)))],
            "provenance": self._provenance(self._day()),
        }, seen)
        self.persons.append(stream)
        if number > 1 and rng.random() < 0.04:
            yield from self._merged(stream, f"person/p-{rng.randrange(1, number)}", "PersonsMerged")
        if rng.random() < 0.02:
            yield Draft("PersonalDataErased", stream, {
                "position": seen[0], "digests": seen[1:], "basis": "Art. 17 GDPR",
                "fields_erased": ["/name", "/aliases", "/born"], "reason": "asked for by letter",
            })

    def _source(self, number: int) -> Story:
        publisher = self.rng.randrange(len(PUBLISHERS))
        yield Draft("SourceAssessed", f"source/newspaper-{publisher}-{number // 3_000}", {
            "publisher": PUBLISHERS[publisher], "reliability": self.rng.choice("ABCD"),
            "reason": "quarterly review",
        })

    def _kept(self, type: str, stream: str, reports: list[tuple[list[Any], Data]]) -> Story:
        """Correct, withdraw or rank one of the reports, now and then."""
        rng = self.rng
        seen, data = rng.choice(reports)
        chance = rng.random()
        if chance < 0.08:
            again = {**data, "when": self._said_day(date.fromisoformat(data["when"]["earliest"]))}
            yield Draft("ReportCorrected", stream, {
                "position": seen[0], "reason": "misread the page", "type": type,
                "type_version": 2 if type == "TalksHeld" else 1, "report": again,
            })
        elif chance < 0.11:
            yield Draft("ReportRetracted", stream, {"position": seen[0], "reason": "wrong page"})
        elif chance < 0.16:
            for rank in rng.choice((["preferred"], ["deprecated"], ["preferred", "normal"])):
                yield Draft("ReportRanked", stream, {
                    "position": seen[0], "rank": rank, "reason": "the source was there",
                })

    def _merged(self, stream: str, other: str, type: str) -> Story:
        data = {"same_as": other, "reason": "the same day and place"}
        seen: list[Any] = []
        yield Draft(type, stream, data, seen)
        if self.rng.random() < 0.15:
            yield Draft("MergeWithdrawn", stream, {"position": seen[0], "reason": "two after all"})

    def _linked(self, stream: str, other: str) -> Story:
        seen: list[Any] = []
        link = self.rng.choice(("in_exchange_for", "follows", "fulfils", "part_of"))
        yield Draft("DevelopmentsLinked", stream, {
            "link": link, "to": other, "denied": self.rng.random() < 0.1,
            "provenance": self._provenance(self._day()),
        }, seen)
        if self.rng.random() < 0.1:
            yield Draft("LinkWithdrawn", stream, {"position": seen[0], "reason": "not said there"})

    def _state(self, number: int) -> str:
        """Return whom a story is about: the first ones are about the quiet state."""
        if number <= QUIET_STORIES:
            return QUIET
        return self.rng.choices(STATES, cum_weights=BUSY)[0]

    def _actor(self) -> str:
        return self._state(QUIET_STORIES + 1) + self.rng.choice(("GOV", "MIL", "OPP", "CVL", ""))

    def _day(self) -> date:
        """Return a day up to a month before that on which the position is recorded, about."""
        reached = self.position * DAYS // max(self.count, 1)
        return FIRST_DAY + timedelta(days=max(0, reached - int(self.rng.expovariate(0.2))))

    def _said_day(self, happened: date) -> Data:
        """Return the day as a source says it: now and then the month only, or another day."""
        chance = self.rng.random()
        if chance < 0.04:
            last = (happened.replace(day=28) + timedelta(days=4)).replace(day=1)
            return {"edtf": happened.isoformat()[:7], "earliest": f"{happened:%Y-%m}-01",
                    "latest": (last - timedelta(days=1)).isoformat()}
        return day(happened + timedelta(days=1) if chance < 0.07 else happened)

    def _provenance(self, happened: date, publisher: int | None = None) -> Data:
        number = self.rng.randrange(len(PUBLISHERS)) if publisher is None else publisher
        return {
            "publisher": PUBLISHERS[number],
            "url": f"https://example.org/{number}/{self.position}",
            "published": day(happened),
        }

    def _named_person(self) -> Data:
        stream = self.rng.choice(self.persons)
        citizenships = [COUNTRY[self.rng.choice(STATES)]] if self.rng.random() < 0.5 else []
        person: Data = {"name": f"Person {stream[9:]}", "citizenships": citizenships}
        return {**person, "person": stream} if self.rng.random() < 0.7 else person


def country(code: str) -> Data:
    """Return a state in normal form."""
    return COUNTRY.get(code) or {"code": code, "said": "San Marino"}


def day(when: date) -> Data:
    """Return a day in normal form."""
    text = when.isoformat()
    return {"edtf": text, "earliest": text, "latest": text}


def exact(number: int) -> Data:
    """Return a quantity in normal form."""
    return {"relation": "exact", "low": number, "high": number}


def at_least(number: int) -> Data:
    """Return a quantity in normal form."""
    return {"relation": "at_least", "low": number}
