"""Scanning: what is new or has changed goes to the workers; what they find out is in the database a second later."""

from __future__ import annotations

import dataclasses
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edgegenre_runtime.errors import EdgeGenreError
from edgegenre_runtime.network.classifier import GenreClassifier
from edgegenre_runtime.workers import Job, TaskLost, Workers

from .analyze import AnalysisSettings, analyze_file, bundle_hash, describe, fingerprint
from .progress import Progress
from .records import Analysis, BundleRecord, Fingerprint
from .store import Known, Library
from .walk import FoundFile, check_roots, find_files

__all__ = ["ScanOptions", "ScanReport", "scan"]

_COMMIT_S = 1.0  # what a kill may cost
_EMPTY = "the file is empty"
_CRASHED = "a decoder crashed on it"


@dataclasses.dataclass(frozen=True, slots=True)
class ScanOptions:
    """What to scan.

    Attributes
    ----------
    roots
        Folders and files.
    bundle
        The bundle's folder or ``.zip``, on this machine and on every worker's.
    max_windows
        Windows of a track that are classified, spread over it; 0 for all.
    retry
        Whether files that could not be read are tried again.
    """

    roots: Sequence[Path | str]
    bundle: Path
    max_windows: int = 0
    retry: bool = False


@dataclasses.dataclass(slots=True)
class ScanReport:
    """What a scan did, in files.

    Attributes
    ----------
    classified, failed
        With an answer, and without one.
    moved, copied
        Recognized by their content, at another path or a second time.
    unchanged, failed_before
        Left as they were; and of them those that could not be read in an earlier scan.
    gone
        In the database, and no longer there.
    closed_folders
        One sentence on each folder that could not be looked through.
    """

    classified: int = 0
    failed: int = 0
    moved: int = 0
    copied: int = 0
    unchanged: int = 0
    failed_before: int = 0
    gone: int = 0
    closed_folders: list[str] = dataclasses.field(default_factory=list)

    @property
    def n_done(self) -> int:
        """Files that needed something to be done."""
        return self.classified + self.failed + self.moved + self.copied


def scan(
    library: Library,
    options: ScanOptions,
    workers: Workers,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> ScanReport:
    """Bring a library up to date.

    Parameters
    ----------
    library
        Open for this process alone (:func:`.database.lock_for_writing`).
    options
        What to scan.
    workers
        They decode and classify.
    on_progress
        Called after every file.

    Raises
    ------
    DataError
        A root that is not there, or a database that cannot be written. What was stored stays.
    BundleError
        A bundle that cannot be used here or by a worker.
    """
    roots = check_roots(options.roots)
    classifier = GenreClassifier.load(options.bundle)
    classifier.require_embedding()
    settings = AnalysisSettings(os.path.abspath(options.bundle), bundle_hash(classifier.bundle), options.max_windows)
    bundle = library.add_bundle(settings.bundle_hash, describe(classifier))
    counted = _Scan(library, bundle, settings, options.retry)
    progress = Progress(sum(1 for _ in counted.todo(roots)))
    run = _Scan(library, bundle, settings, options.retry)
    files = run.todo(roots)
    try:
        for job, outcome in workers.results(lambda: run.next_job(files)):
            run.finished(job, outcome)
            progress.update(run.report.n_done)
            on_progress(progress)
        run.report.gone = library.mark_gone(roots)
    finally:
        library.commit()
    return run.report


class _Scan:
    """A scan that is going on: which files it takes, and what becomes of them."""

    def __init__(self, library: Library, bundle: BundleRecord, settings: AnalysisSettings, retry: bool) -> None:
        self._library, self._bundle, self._settings, self._retry = library, bundle, settings, retry
        self.report = ScanReport()
        self._again: deque[Job] = deque()  # hashed, and no old acquaintances
        self._committed_at = time.monotonic()

    def todo(self, roots: Sequence[bytes]) -> Iterator[FoundFile]:
        """Yield the files that are new, have changed, or were answered otherwise than this scan does."""
        for path, status in find_files(roots, self.report.closed_folders.append):
            known = self._library.known(path)
            if known is None or not self._is_done(known, status):
                yield path, status
                continue
            if known.is_gone:
                self._library.mark_there(known.id)
            self.report.unchanged += 1
            self.report.failed_before += known.has_failed

    def _is_done(self, known: Known, status: os.stat_result) -> bool:
        is_same = (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
        as_now = (known.bundle, known.max_windows) == (self._bundle.id, self._settings.max_windows)
        return is_same and as_now and not (known.has_failed and self._retry)

    def next_job(self, files: Iterator[FoundFile]) -> Job | None:
        """Return the next call for a worker; what needs none is stored at once."""
        if self._again:
            return self._again.popleft()
        for path, status in files:
            if not status.st_size:
                self._put(path, Analysis(0, status.st_mtime_ns, error=_EMPTY))
            elif self._library.has_size(status.st_size):  # its content may be known, from another path
                return Job(fingerprint, (path,), (path, status))
            else:
                return Job(analyze_file, (path, self._settings), (path, status))
        return None

    def finished(self, job: Job, outcome: Any) -> None:
        """Take what a worker returned or raised."""
        path, status = job.owner
        if job.function is fingerprint and not isinstance(outcome, TaskLost):
            self._recognize(path, status, outcome)
            return
        if isinstance(outcome, EdgeGenreError):
            raise outcome
        if isinstance(outcome, Exception):
            crashed = isinstance(outcome, TaskLost)
            reason = _CRASHED if crashed else f"unexpected {type(outcome).__name__}: {outcome}"
            outcome = Analysis(status.st_size, status.st_mtime_ns, error=reason)
        self._put(path, outcome)

    def _recognize(self, path: bytes, status: os.stat_result, found: Any) -> None:
        """Give a file the answer to its content, where there is one; else let a worker find it out."""
        digest = found.content_hash if isinstance(found, Fingerprint) else None
        same = None if digest is None else self._library.same_content(digest, self._bundle, self._settings.max_windows)
        if same is None:
            self._again.append(Job(analyze_file, (path, self._settings, digest), (path, status)))
            return
        is_move = same == path or not os.path.lexists(same)
        self._library.adopt(path, found, same, is_move=is_move)
        self.report.moved += is_move
        self.report.copied += not is_move
        self._commit_sometimes()

    def _put(self, path: bytes, analysis: Analysis) -> None:
        self._library.put(path, analysis, self._bundle, self._settings.max_windows)
        self.report.failed += analysis.error is not None
        self.report.classified += analysis.error is None
        self._commit_sometimes()

    def _commit_sometimes(self) -> None:
        if time.monotonic() - self._committed_at > _COMMIT_S:
            self._library.commit()
            self._committed_at = time.monotonic()
