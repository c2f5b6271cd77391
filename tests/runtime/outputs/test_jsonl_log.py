"""The log: rotation of its own and by others, full disks, lines that were cut off."""

import json
import resource
import signal
from pathlib import Path

import pytest
from json_records import valid_records
from live_results import answer

from edgegenre_runtime.errors import UsageError
from edgegenre_runtime.live.events import Event
from edgegenre_runtime.live.guarded_output import GuardedOutput
from edgegenre_runtime.outputs.jsonl_log import RotatingLog


def test_the_log_rotates_and_loses_nothing(tmp_path):
    log = RotatingLog(tmp_path / "genre.jsonl", "mic", max_bytes=2000)
    for i in range(15):
        log.result(answer(unix_s=float(i)))
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files][:2] == ["genre.jsonl", "genre.jsonl.1"]
    assert 2 <= len(files) <= 5
    assert all(file.stat().st_size <= 2000 for file in files)
    stamps = [json.loads(line)["time"] for file in reversed(files) for line in file.read_text().splitlines()]
    assert stamps == sorted(stamps)
    assert stamps[-1] == "1970-01-01T00:00:14.000Z"


def test_four_older_files_stay(tmp_path):
    log = RotatingLog(tmp_path / "genre.jsonl", "mic", max_bytes=500)  # one line each
    for i in range(9):
        log.result(answer(unix_s=float(i)))
    log.close()
    stamps = {file.name: json.loads(file.read_text())["time"][17:19] for file in tmp_path.iterdir()}
    assert stamps == {"genre.jsonl": "08"} | {f"genre.jsonl.{n}": f"0{8 - n}" for n in (1, 2, 3, 4)}


def test_a_full_disk_is_reported_once_and_again_when_there_is_room(tmp_path):
    events = []
    log = GuardedOutput(RotatingLog(tmp_path / "genre.jsonl", "mic"), events.append)
    log.result(answer(unix_s=0.0))
    size = (tmp_path / "genre.jsonl").stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1][1]))  # room for a part of a line
        for i in range(3):
            log.result(answer(unix_s=1.0 + i))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[1])
        signal.signal(signal.SIGXFSZ, before[0])
    log.result(answer(unix_s=9.0))
    log.close()
    assert [event.kind for event in events] == ["output", "output"]
    assert "going on without it" in events[0].message
    assert "can be written again; 3 lines are missing" in events[1].message
    first, torn, last = (tmp_path / "genre.jsonl").read_text().splitlines()
    assert len(torn) == 20
    assert [record["time"][17:19] for record in valid_records([first, last])] == ["00", "09"]


def test_no_space_left_on_the_device_is_survived():
    events = []
    log = GuardedOutput(RotatingLog(Path("/dev/full"), "mic"), events.append)
    log.result(answer())
    log.event(Event("lost", "gone"))
    log.close()
    assert len(events) == 1
    assert "no space left on device" in events[0].message


def test_a_line_that_a_killed_program_left_is_ended_first(tmp_path):
    path = tmp_path / "genre.jsonl"
    path.write_text('{"kind": "res')
    log = RotatingLog(path, "mic")
    log.result(answer())
    log.close()
    torn, line = path.read_text().splitlines()
    assert torn == '{"kind": "res'
    valid_records([line])


@pytest.mark.parametrize("how", ["renamed", "deleted", "replaced"])
def test_another_program_may_rotate_the_file(tmp_path, how):
    path = tmp_path / "genre.jsonl"
    log = RotatingLog(path, "mic")
    log.result(answer(unix_s=1.0))
    if how == "deleted":
        path.unlink()
    else:
        path.rename(tmp_path / "genre.jsonl-20261126")
    if how == "replaced":  # logrotate's "create"
        path.touch()
    log.result(answer(unix_s=2.0))
    log.close()
    assert [record["time"][17:19] for record in valid_records(path.read_text().splitlines())] == ["02"]


def test_a_file_that_was_truncated_goes_on_at_its_start(tmp_path):
    path = tmp_path / "genre.jsonl"
    log = RotatingLog(path, "mic")
    log.result(answer(unix_s=1.0))
    path.write_text("")  # logrotate's "copytruncate"
    log.result(answer(unix_s=2.0))
    log.close()
    assert len(valid_records(path.read_text().splitlines())) == 1


def test_a_folder_that_went_away_and_came_back(tmp_path):
    events = []
    path = tmp_path / "logs" / "genre.jsonl"
    path.parent.mkdir()
    log = GuardedOutput(RotatingLog(path, "mic"), events.append)
    path.unlink()
    path.parent.rmdir()
    log.result(answer())
    path.parent.mkdir()
    log.result(answer())
    log.close()
    assert ["cannot be written (no such file" in e.message for e in events] == [True, False]
    assert len(valid_records(path.read_text().splitlines())) == 1


def test_a_log_that_cannot_be_opened_is_one_line(tmp_path):
    for path in (tmp_path / "no" / "log", tmp_path, tmp_path / ("x" * 300)):
        with pytest.raises(UsageError, match=r"--log .* cannot be written"):
            RotatingLog(path, "mic")
