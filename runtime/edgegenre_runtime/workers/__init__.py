"""Where work on many items runs: threads and processes of this machine, or the workers of a Dask cluster.

All are executors of :mod:`concurrent.futures`, with the same results. A task whose process dies is done again.
"""

from __future__ import annotations

from .pool import Job, TaskLost, Workers, open_workers

__all__ = ["Job", "TaskLost", "Workers", "open_workers"]
