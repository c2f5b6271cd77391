"""The picture on a terminal."""

import io

from live_results import answer

from edgegenre_runtime.live.events import Event
from edgegenre_runtime.outputs.terminal import TerminalView


def screen(text, height=40):
    """Return what a terminal shows after the few control codes that the view uses."""
    rows, at = [""] * height, 0
    for part in text.replace("\x1b[?25l", "").replace("\x1b[?25h", "").split("\x1b["):
        if part[:2].rstrip("A").isdecimal() and "A" in part[:3]:
            up, _, part = part.partition("A")
            at -= int(up)
        elif part.startswith("K"):
            part = part[1:]
        for i, line in enumerate(part.split("\n")):
            at += i > 0
            if "\r" in line:
                rows[at] = line.rpartition("\r")[2]
    return [row for row in rows if row]


def test_the_view_redraws_in_place_and_keeps_count():
    stream = io.StringIO()
    view = TerminalView(stream, 80)
    for _ in range(5):
        view.result(answer(dropped=100))
    view.event(Event("lost", "the microphone is gone"))
    view.close()
    rows = screen(stream.getvalue())
    assert rows[0].startswith("JAZZ ")
    assert "-23 dBFS" in rows[0]
    assert sum("jazz" in row and "███" in row for row in rows) == 1
    assert rows[-2] == "10 s of audio, 500 samples lost, 0 windows skipped"
    assert rows[-1] == "the microphone is gone"
    picture = [row for row in rows if set(row) <= set(" ·:-=+*#%@")]
    assert picture[-1].endswith("@@@@@@")  # low bands below, new frames on the right
    assert max(map(len, rows)) < 80
    assert stream.getvalue().endswith("\x1b[?25h")


def test_control_characters_of_names_do_not_reach_the_terminal():
    stream = io.StringIO()
    view = TerminalView(stream, 80)
    view.event(Event("live", "listening to 'USB\x1b]0;title\x07'"))
    assert "\x1b]" not in stream.getvalue()
    assert "\\x1b]0;title\\x07" in stream.getvalue()
