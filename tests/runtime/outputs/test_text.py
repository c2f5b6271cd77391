"""Lines on standard output: their fields, and what becomes of them on a full disk or without a reader."""

import dataclasses
import io
import json
import os
import threading
from pathlib import Path

import jsonschema
import pytest
from json_records import SCHEMA, valid_records
from live_results import answer

from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.guarded_output import GuardedOutput
from edgegenre_runtime.outputs.line_writer import LineWriter, descriptor_writer
from edgegenre_runtime.outputs.text import JsonLines, TextLines


def test_json_lines_have_the_documented_fields():
    out, err = io.StringIO(), io.StringIO()
    lines = JsonLines(out, err, "mic")
    lines.result(answer(dropped=7))
    lines.event(Event("lost", "gone", unix_s=1.7e9 + 0.25))
    result, event = valid_records(out.getvalue().splitlines())
    assert result == {
        "schema": 1, "kind": "result",
        "time": "2023-11-14T22:13:20.000Z", "source": "mic", "start_s": 1.0, "end_s": 9.94,
        "label": "jazz", "probabilities": {"jazz": 0.75, 'ro"<ck>': 0.25}, "level_dbfs": -23.4, "rate_hz": 48000,
        "captured_samples": 480000, "dropped_samples": 7, "skipped_windows": 0, "is_repeated": False,
        "capture_ms": 0.1, "mel_ms": 1.0, "network_ms": 2.0,
    }  # fmt: skip
    when = "2023-11-14T22:13:20.250Z"
    assert event == {"schema": 1, "kind": "event", "time": when, "source": "mic", "event": "lost", "message": "gone"}
    assert err.getvalue() == "edgegenre-run: gone\n"
    documented = (Path(__file__).parents[3] / "docs" / "runtime.md").read_text("utf-8")
    fields = {**SCHEMA["$defs"]["result"]["properties"], **SCHEMA["$defs"]["event"]["properties"]}
    assert set(result) | set(event) | {"confidence", "embedding", "labels"} == set(fields)
    for field in fields:
        assert f"| `{field}` |" in documented, field


def test_the_schema_is_one_and_refuses_what_it_does_not_know():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    out = io.StringIO()
    JsonLines(out, io.StringIO(), "mic").result(answer())
    record = json.loads(out.getvalue())
    for change in ({"schema": 2}, {"kind": "answer"}, {"extra": 1}, {"mel_ms": None}, {"probabilities": {"jazz": 1.5}}):
        with pytest.raises(jsonschema.ValidationError):
            valid_records([json.dumps(record | change)])
    del record["rate_hz"]  # fields of listening come together
    with pytest.raises(jsonschema.ValidationError):
        valid_records([json.dumps(record)])


def test_text_lines_are_one_line_each():
    out = io.StringIO()
    lines = TextLines(out, io.StringIO())
    lines.result(answer(dropped=480, skipped=2))
    lines.result(answer("silence"))
    first, second = out.getvalue().splitlines()
    assert first.endswith('jazz  [jazz 0.75  ro"<ck> 0.25]  -23 dBFS  (lost 480 samples, skipped 2 windows)')
    assert second.endswith("silence  -23 dBFS")


def test_names_and_labels_reach_the_terminal_escaped():
    out, err = io.StringIO(), io.StringIO()
    lines = TextLines(out, err)
    lines.result(answer("ja\x1b[2Jzz"))
    lines.event(Event("lost", "microphone 'a\nb\x1b' is gone"))
    assert "ja\\x1b[2Jzz" in out.getvalue()
    assert err.getvalue() == "edgegenre-run: microphone 'a\\nb\\x1b' is gone\n"


class FullDisk:
    """Takes so many bytes and then none, until there is room again."""

    def __init__(self, room):
        self.room, self.data = room, b""

    def write(self, data):
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = data[: self.room]
        self.room -= len(taken)
        self.data += taken
        return len(taken)


def test_a_line_that_was_cut_off_is_not_glued_to_the_next():
    disk = FullDisk(room=14)
    writer = LineWriter(disk.write)
    writer.write('{"a": 1}\n')
    for line in ('{"b": 2}\n', '{"c": 3}\n'):
        with pytest.raises(OSError, match="No space"):
            writer.write(line)
    disk.room = 99
    writer.write('{"d": 4}\n')
    writer.write('{"e": 5}\n')
    assert disk.data.decode().splitlines() == ['{"a": 1}', '{"b":', '{"d": 4}', '{"e": 5}']


def test_a_short_write_is_continued():
    taken = []

    def write(data):
        taken.append(data[:3])
        return len(taken[-1])

    LineWriter(write).write("abcdefgh\n")
    assert b"".join(taken) == b"abcdefgh\n"


def test_a_non_blocking_descriptor_is_waited_for():
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    while True:
        try:
            os.write(write_end, b"x" * 65536)
        except BlockingIOError:
            break
    threading.Timer(0.2, os.read, (read_end, 1 << 20)).start()
    LineWriter(descriptor_writer(write_end)).write("line\n")
    assert os.read(read_end, 1 << 20).endswith(b"line\n")
    os.close(read_end)
    os.close(write_end)


def test_a_full_standard_output_is_reported_once_and_the_rest_goes_on():
    err, events = io.StringIO(), []
    with open("/dev/full", "w") as full:
        guarded = GuardedOutput(JsonLines(full, err, "mic"), events.append)
        for _ in range(3):
            guarded.result(answer())
            guarded.event(Event("lost", "gone"))
        guarded.close()
    assert [event.message for event in events] == [
        "standard output cannot be written (no space left on device); going on without it"
    ]
    assert err.getvalue().count("gone") == 3


def test_a_full_standard_error_stops_nothing():
    out = io.StringIO()
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    JsonLines(out, full, "mic").event(Event("lost", "gone"))
    assert valid_records(out.getvalue().splitlines())[0]["message"] == "gone"
    full.detach().close()


@pytest.mark.parametrize(
    ("label", "labels", "text"),
    [
        ("jazz;blues", ("jazz", "blues"), "jazz, blues"),
        ("rock/punk", ("rock", "rock/punk"), "rock › punk"),
        ("uncertain", (), "uncertain"),
    ],
)
def test_answers_of_several_labels_and_of_a_path(label, labels, text):
    out, lines = io.StringIO(), io.StringIO()
    result = dataclasses.replace(answer(), label=label, labels=labels)
    TextLines(out, io.StringIO()).result(result)
    assert f"  {text}  [" in out.getvalue()
    JsonLines(lines, io.StringIO(), "mic").result(result)
    (record,) = valid_records(lines.getvalue().splitlines())
    assert (record["label"], record["labels"]) == (label, list(labels))
