"""Outputs that fail are reported once and end nothing; states that flap are reported now and then."""

import pytest
from live_results import answer

from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.guarded_output import GuardedOutput
from edgegenre_runtime.live.reported_state import ReportedState


class Failing:
    name = "the output"

    def __init__(self):
        self.results, self.events, self.error, self.fails_events = [], [], None, True

    def result(self, result):
        if self.error:
            raise self.error
        self.results.append(result)

    def event(self, event):
        if self.error and self.fails_events:
            raise self.error
        self.events.append(event)

    def close(self):
        if self.error:
            raise self.error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(28, "No space left on device"), "no space left on device"),
        (ValueError("odd"), "ValueError: odd"),
        (TimeoutError(), "timeouterror"),
    ],
)
@pytest.mark.parametrize("fails_events", [True, False])
def test_a_failure_is_reported_once_and_its_end_with_what_is_missing(error, reason, fails_events):
    output, events = Failing(), []
    output.fails_events = fails_events

    def emit(event):  # as the loop does: back to every output
        events.append(event)
        guarded.event(event)

    guarded = GuardedOutput(output, emit)
    output.error = error
    for _ in range(5):
        guarded.result(answer())
    assert [event.message for event in events] == [f"the output cannot be written ({reason}); going on without it"]
    output.error = None
    guarded.result(answer())
    guarded.event(Event("live", "x"))
    assert len(events) == 2
    assert events[1].message == f"the output can be written again; {6 if fails_events else 5} lines are missing"
    assert len(output.results) == 1


def test_an_output_that_cannot_be_closed_is_reported():
    output, events = Failing(), []
    output.error = OSError(5, "Input/output error")
    GuardedOutput(output, events.append).close()
    assert [event.message for event in events] == ["the output could not be closed (input/output error)"]


def test_a_state_that_flaps_is_reported_now_and_then_and_ends_right():
    now_s = 0.0
    state = ReportedState(max_changes=4, period_s=600.0, clock=lambda: now_s)
    reported = []
    for now_s in range(3600):
        if state.update(now_s % 2 == 0):
            reported.append((now_s, state.reported))
    assert reported[:4] == [(0, True), (1, False), (2, True), (3, False)]
    assert all(b[0] - a[0] >= 600 for a, b in zip(reported, reported[4:], strict=False))
    assert 20 <= len(reported) <= 24
    before = state.reported
    now_s += 600
    assert state.update(not before)  # what was held back is reported when there is room
    assert not state.update(not before)
