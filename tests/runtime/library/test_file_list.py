"""The list of files that wait: in order, of any name, on the disk and not in memory."""

import subprocess
import sys

import pytest

from edgegenre_runtime.errors import DataError
from edgegenre_runtime.library.file_list import FileList, FoundFile


def test_files_come_in_the_order_they_were_put():
    files = [FoundFile(b"/caf\xe9\n%d" % number, 2**40 + number, -number) for number in (3, 1, 2, 1)]
    waiting = FileList()
    for file in files:
        waiting.append(file)
    assert (len(waiting), list(waiting)) == (4, files)
    waiting.close()


def test_many_files_are_on_the_disk():
    code = (
        "import resource\n"
        "from edgegenre_runtime.library.file_list import FileList, FoundFile\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "waiting = FileList()\n"
        "for i in range(300_000): waiting.append(FoundFile(b'/music/an artist/an album/%d.mp3' % i, i, i))\n"
        "assert sum(file.size for file in waiting) == 300_000 * 299_999 // 2\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 12_000  # kB; the list has 15 MB


def test_a_full_disk_of_temporary_files_is_said():
    waiting = FileList()
    waiting._db.execute("PRAGMA max_page_count = 3")
    with pytest.raises(DataError, match=r"database or disk is full; free some space and run the same command again"):
        waiting.append(FoundFile(b"/music/" + bytes(100_000), 1, 1))
