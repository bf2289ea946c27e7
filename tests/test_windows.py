"""Windows of days over the releases of a state, held against adding up one by one."""

import gc
from datetime import date, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.answers.answer import uncollected
from ledger.answers.windows import Windows
from ledger.cli.output import print_json
from ledger.projections.release_sums import Span

DAYS = [(date(2025, 1, 1) + timedelta(days=n)).isoformat() for n in range(8)]
DAY = st.sampled_from(DAYS)
SPANS = st.lists(
    st.builds(
        Span,
        st.none() | DAY,
        st.none() | DAY,
        st.integers(0, 5),
        st.none() | st.integers(0, 9),
        st.sampled_from(["development/a", "development/b development/c"]),
    ),
    max_size=8,
)


@given(SPANS, DAY, DAY)
def test_a_window_is_what_its_releases_add_up_to(
    spans: list[Span], since: str, until: str
) -> None:
    """What may lie in a window counts as at most, what surely does as at least, in any order of
    days; the streams are those of all that may, sorted."""
    near = [
        span for span in spans
        if (span.last or "9999-12-31") >= since and (span.first or "") <= until
    ]
    sure = [
        span.low for span in near
        if span.first and span.last and span.first >= since and span.last <= until
    ]
    highs = [span.high for span in near]
    most = None if None in highs else sum(high for high in highs if high is not None)

    windows = Windows(spans)

    assert windows.bounds(since, until) == (sum(sure), most)
    streams = sorted(stream for span in near for stream in span.streams.split())
    assert windows.streams(since, until) == streams
    assert repr(windows.streams(since, until)) == repr(streams)
    assert [*windows.streams(since, until)] == streams
    assert windows.streams(since, until)[:1] == streams[:1]
    assert len(windows.streams(since, until)) == len(streams)


def test_streams_are_a_list_in_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    """What is put together when somebody looks at it is printed as the list that it is."""
    streams = Windows([Span("2025-01-01", "2025-01-01", 1, 1, "b a")]).streams(*DAYS[:2])

    print_json({"developments": streams})

    assert orjson.loads(capsysbinary.readouterr().out)["data"] == {"developments": ["a", "b"]}


def test_garbage_is_looked_for_again_after_an_answer() -> None:
    """While a question is answered nothing looks for cycles; afterwards it is as it was before."""

    @uncollected
    def ask(fails: bool) -> bool:
        if fails:
            raise ValueError("no day")
        return gc.isenabled()

    assert gc.isenabled()
    assert not ask(False)
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no day"):
        ask(True)
    assert gc.isenabled()
    gc.disable()
    try:
        ask(False)
        assert not gc.isenabled()
    finally:
        gc.enable()
