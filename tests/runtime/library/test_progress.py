"""The rate is that of the latest minute, and the time left follows from it."""

from edgegenre_runtime.library.progress import Progress


def test_rate_and_time_left():
    now = [0.0]
    progress = Progress(1000, lambda: now[0])
    assert (progress.rate, progress.left_s) == (0, None)
    assert str(progress) == "0 of 1000 files, 0.0/s"
    for second in range(1, 101):
        now[0] = float(second)
        progress.update(second * 2)
    assert progress.rate == 2
    for second in range(101, 201):  # five times as fast: the first minutes are forgotten
        now[0] = float(second)
        progress.update(200 + (second - 100) * 5)
    assert progress.rate == 5
    assert str(progress) == "700 of 1000 files, 5.0/s, 60 s left"


def test_more_files_than_were_counted_and_long_times():
    now = [0.0]
    progress = Progress(5, lambda: now[0])
    now[0] = 10.0
    progress.update(10)
    assert str(progress) == "10 of 10 files, 1.0/s, 0 s left"
    progress = Progress(100_001, lambda: now[0])
    now[0] = 20.0
    progress.update(1)
    assert str(progress).endswith("0.1/s, 277.8 h left")
