"""What one stream says now, and which event may follow it: pure folds over one stream.

Takes RecordedEvents in order of stream_version; hands on a Development. Rules that need another
stream (does the linked one exist?) are `intake`'s.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ledger.errors import MayNotFollow
from ledger.events import Data, RecordedEvent
from ledger.kinds.registry import KINDS


@dataclass(slots=True)
class Report:
    """One source's statement as it stands now; the same object for as long as it stands so.

    Never changed. It is not declared frozen, nor is Development: every event that is folded makes
    one of each, and frozen they take three times as long.
    """

    position: int
    type: str
    data: Data
    rank: str = "normal"

    __hash__ = object.__hash__  # data has none; what is worked out from a report can be kept by it


@dataclass(frozen=True, slots=True)
class Gone:
    """Why a position no longer stands: by which later position, and in which way."""

    by: int
    how: str


Live = tuple[Report, ...]
Steps = dict[tuple[str, str], Live]


@dataclass(slots=True)
class Development:
    """Everything about one thing (a development, a tally, a person, …), folded from its stream."""

    stream: str
    stream_version: int = 0
    family: str | None = None
    reports: dict[int, Report] = field(default_factory=dict)
    """By position, in the order in which they were first recorded, since a correction takes the
    place of what it corrects: what stands, deprecated ones included."""
    links: dict[int, Data] = field(default_factory=dict)
    merges: dict[int, str] = field(default_factory=dict)
    """By position: the streams that this one is said to be the same as."""
    gone: dict[int, Gone] = field(default_factory=dict)

    live: Live = ()
    """The reports that count: if any is preferred only those, and never a deprecated one. Worked
    out from `reports` where it is not given."""
    steps: Steps = field(default_factory=dict)
    """The same by event type and stage, for what reports about one step say together."""

    def __post_init__(self) -> None:
        if self.reports and not self.live:
            self.live = _live(self.reports.values())
        if self.live and not self.steps:
            self.steps = _steps(self.live)


REPORT, STEP, TYPE, TIES = "report", "step", "type", "ties"


class Part(NamedTuple):
    """A part of a development, which rows of answer tables are about."""

    what: str
    """REPORT: one live report; STEP: all of one type and stage; TYPE: all of one type; TIES: the
    links and merges."""
    type: str
    """The event type of its reports; empty for ties."""
    key: Any
    """The report's position, or the stage; empty for a type and for ties."""
    now: Report | Live | Development | None
    """What it is; None where there is no such report any more."""


def changed_parts(before: Development, after: Development) -> list[Part]:
    """Return the parts that an event changed; what is the same, in the same order, did not."""
    changed = []
    if after.live is not before.live:
        if after.live and after.live[:-1] == before.live:
            report = after.live[-1]
            step = _step(report)
            alike = after.live if len(after.steps) == 1 else _of_type(after, report.type)
            changed += [
                Part(REPORT, report.type, report.position, report),
                Part(STEP, *step, after.steps[step]),
                Part(TYPE, report.type, "", alike),
            ]
        else:
            changed += _other_parts(before, after)
    if after.links is not before.links or after.merges is not before.merges:
        changed.append(Part(TIES, "", "", after))
    return changed


def fold(stream: str, events: Iterable[RecordedEvent]) -> Development:
    """Return what the events of one stream add up to."""
    development = Development(stream)
    for event in events:
        development = evolve(development, event)
    return development


def evolve(before: Development, event: RecordedEvent) -> Development:
    """Return the development after one more event; never changes the one before."""
    kind = KINDS[event.type]
    if kind.is_report:
        return _with_report(before, event, kind.family)
    after = _changed(before, stream_version=event.stream_version)
    match event.type:
        case "ReportCorrected":
            at = event.data["position"]
            rank = after.reports[at].rank
            corrected = Report(event.position, event.data["type"], event.data["report"], rank)
            in_place = [corrected if r.position == at else r for r in after.reports.values()]
            gone = _without(after, event, "corrected")
            return _changed(gone, reports={report.position: report for report in in_place})
        case "ReportRetracted" | "LinkWithdrawn" | "MergeWithdrawn":
            return _without(after, event, "withdrawn")
        case "ReportRanked":
            at = event.data["position"]
            ranked = replace(after.reports[at], rank=event.data["rank"])
            return _changed(after, reports={**after.reports, at: ranked})
        case "DevelopmentsLinked":
            return _changed(after, links={**after.links, event.position: event.data})
        case "DevelopmentsMerged" | "PersonsMerged":
            merges = {**after.merges, event.position: event.data["same_as"]}
            return _changed(after, merges=merges)
    return after


def _changed(before: Development, **what: Any) -> Development:
    return replace(before, live=(), steps={}, **what)


def _live(reports: Collection[Report]) -> Live:
    wanted = "preferred" if any(r.rank == "preferred" for r in reports) else "normal"
    return tuple(report for report in reports if report.rank == wanted)


def _steps(live: Live) -> Steps:
    steps: Steps = {}
    for report in live:
        step = _step(report)
        steps[step] = (*steps.get(step, ()), report)
    return steps


def _step(report: Report) -> tuple[str, str]:
    return report.type, report.data.get("stage", "")


def _other_parts(before: Development, after: Development) -> Iterator[Part]:
    """Yield the reports and steps that came, went or changed, whatever the event did."""
    old = {report.position: report for report in before.live}
    new = {report.position: report for report in after.live}
    for position in old.keys() | new.keys():
        report = new.get(position)
        if report is not old.get(position):
            yield Part(REPORT, (report or old[position]).type, position, report)
    steps = before.steps.keys() | after.steps.keys()
    changed = [step for step in steps if after.steps.get(step) != before.steps.get(step)]
    for step in changed:
        yield Part(STEP, *step, after.steps.get(step))
    for type in {type for type, _ in changed}:
        yield Part(TYPE, type, "", _of_type(after, type) or None)


def _of_type(development: Development, type: str) -> Live:
    return tuple([report for report in development.live if report.type == type])


def check_may_follow(before: Development, type: str, data: Data) -> None:
    """Raise MayNotFollow if an event of this type and content may not follow the history."""
    kind = KINDS[type]
    if kind.is_report:
        if before.family not in (None, kind.family):
            why = f"holds {before.family} reports, so {type} belongs in a stream of its own"
            raise MayNotFollow(before.stream, why)
        return
    match type:
        case "ReportCorrected" | "ReportRetracted" | "ReportRanked":
            _check_stands(before, data["position"], before.reports, "report")
            _check_report_rule(before, type, data)
        case "LinkWithdrawn":
            _check_stands(before, data["position"], before.links, "link")
        case "MergeWithdrawn":
            _check_stands(before, data["position"], before.merges, "merge")
        case "DevelopmentsMerged" | "PersonsMerged":
            _check_merge(before, data["same_as"])
        case "DevelopmentsLinked" if data["to"] == before.stream:
            raise MayNotFollow(before.stream, "may not be linked to itself")


def still_holds(now: Development, position: int, type: str, data: Data) -> bool:
    """Return whether what was recorded at a position is still what counts."""
    match type:
        case "ReportRanked":
            ranked = now.reports.get(data["position"])
            return ranked is not None and ranked.rank == data["rank"]
        case "DevelopmentsMerged" | "PersonsMerged":
            return data["same_as"] in now.merges.values()
    return position not in now.gone


def check_one_family(before: Development, same_as: Development) -> None:
    """Raise MayNotFollow if two things are of different families, and so can never be one.

    Reports about one thing stand in one stream, and a stream holds one family: a release is in no
    case the same as the talks about it, but part of them, or in exchange for something. Asked only
    where a merge is recorded now: what stands already stays as it is.
    """
    if None not in (before.family, same_as.family) and before.family != same_as.family:
        why = (
            f"holds {before.family} reports and {same_as.stream} {same_as.family} reports, so "
            "they are not one; wanted a link (in_exchange_for, follows, fulfils, part_of)"
        )
        raise MayNotFollow(before.stream, why)


def _with_report(before: Development, event: RecordedEvent, family: str) -> Development:
    # The step that nearly every event is: by name, since `replace` takes three times as long.
    report = Report(event.position, event.type, event.data)
    live, steps = before.live, before.steps
    if not live or live[0].rank == "normal":
        step = _step(report)
        live, steps = (*live, report), {**steps, step: (*steps.get(step, ()), report)}
    return Development(
        before.stream,
        event.stream_version,
        family,
        {**before.reports, report.position: report},
        before.links,
        before.merges,
        before.gone,
        live,
        steps,
    )


def _without(before: Development, event: RecordedEvent, how: str) -> Development:
    at = event.data["position"]
    return _changed(
        before,
        reports=_less(before.reports, at),
        links=_less(before.links, at),
        merges=_less(before.merges, at),
        gone={**before.gone, at: Gone(event.position, how)},
    )


def _less(rows: dict[int, Any], position: int) -> dict[int, Any]:
    if position not in rows:
        return rows
    return {at: row for at, row in rows.items() if at != position}


def _check_stands(
    before: Development, position: int, standing: dict[int, Any], what: str
) -> None:
    if position in standing:
        return
    if gone := before.gone.get(position):
        why = f"position {position} was {gone.how} by position {gone.by}"
    else:
        known = ", ".join(map(str, sorted(standing))) or "none"
        why = f"position {position} is no {what} of this stream (its {what}s: {known})"
    raise MayNotFollow(before.stream, why)


def _check_report_rule(before: Development, type: str, data: Data) -> None:
    report = before.reports[data["position"]]
    if type == "ReportRanked" and report.rank == data["rank"]:
        why = f"the report at position {report.position} is {report.rank} already"
        raise MayNotFollow(before.stream, why)
    if type == "ReportCorrected" and KINDS[data["type"]].family != before.family:
        why = f"holds {before.family} reports, so none can be corrected to {data['type']}"
        raise MayNotFollow(before.stream, why)


def _check_merge(before: Development, same_as: str) -> None:
    if same_as == before.stream:
        raise MayNotFollow(before.stream, "may not be merged into itself")
    if same_as in before.merges.values():
        raise MayNotFollow(before.stream, f"is merged into {same_as} already")
