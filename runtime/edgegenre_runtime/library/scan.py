"""Scanning: what is new or has changed goes to the workers; what they find out is in the database a second later."""

from __future__ import annotations

import contextlib
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
from .file_list import FileList, FoundFile
from .progress import Progress
from .records import Analysis, BundleRecord, Fingerprint
from .store import Known, Library
from .walk import check_roots, find_files

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
    on_found: Callable[[int], None] = lambda n_files: None,
) -> ScanReport:
    """Bring a library up to date: walk through the folders once, then work on what was found.

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
    on_found
        Called with the number of files that were found so far, while the folders are looked through.

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
    run = _Scan(library, bundle, settings, options.retry)
    try:
        with contextlib.closing(FileList()) as todo:
            run.find(roots, todo, on_found)
            _work(run, todo, workers, on_progress)
        run.report.gone = library.mark_gone(roots)
    finally:
        library.commit()
    return run.report


def _work(run: _Scan, todo: FileList, workers: Workers, on_progress: Callable[[Progress], None]) -> None:
    progress, files = Progress(len(todo)), iter(todo)
    n_before = run.report.n_done
    for job, outcome in workers.results(lambda: run.next_job(files)):
        run.finished(job, outcome)
        progress.update(run.report.n_done - n_before)
        on_progress(progress)


class _Scan:
    """A scan that is going on: which files it takes, and what becomes of them."""

    def __init__(self, library: Library, bundle: BundleRecord, settings: AnalysisSettings, retry: bool) -> None:
        self._library, self._bundle, self._settings, self._retry = library, bundle, settings, retry
        self.report = ScanReport()
        self._again: deque[Job] = deque()  # hashed, and no old acquaintances
        self._committed_at = time.monotonic()

    def find(self, roots: Sequence[bytes], todo: FileList, on_found: Callable[[int], None]) -> None:
        """Put the files on a list that are new, have changed, or were answered otherwise than this scan does.

        Empty ones are stored at once.
        """
        for n_found, file in enumerate(find_files(roots, self.report.closed_folders.append), 1):
            known = self._library.known(file.path)
            if known is not None and self._is_done(known, file):
                if known.is_gone:
                    self._library.mark_there(known.id)
                self.report.unchanged += 1
                self.report.failed_before += known.has_failed
            elif file.size:
                todo.append(file)
            else:
                self._put(file.path, Analysis(0, file.mtime_ns, error=_EMPTY))
            on_found(n_found)

    def _is_done(self, known: Known, file: FoundFile) -> bool:
        is_same = (known.size, known.mtime_ns) == (file.size, file.mtime_ns)
        as_now = (known.bundle, known.max_windows) == (self._bundle.id, self._settings.max_windows)
        return is_same and as_now and not (known.has_failed and self._retry)

    def next_job(self, files: Iterator[FoundFile]) -> Job | None:
        """Return the next call for a worker."""
        if self._again:
            return self._again.popleft()
        file = next(files, None)
        if file is None:
            return None
        if self._library.has_size(file.size):  # its content may be known, from another path
            return Job(fingerprint, (file.path,), file)
        return Job(analyze_file, (file.path, self._settings), file)

    def finished(self, job: Job, outcome: Any) -> None:
        """Take what a worker returned or raised."""
        file: FoundFile = job.owner
        if job.function is fingerprint and not isinstance(outcome, TaskLost):
            self._recognize(file, outcome)
            return
        if isinstance(outcome, EdgeGenreError):
            raise outcome
        if isinstance(outcome, Exception):
            crashed = isinstance(outcome, TaskLost)
            reason = _CRASHED if crashed else f"unexpected {type(outcome).__name__}: {outcome}"
            outcome = Analysis(file.size, file.mtime_ns, error=reason)
        self._put(file.path, outcome)

    def _recognize(self, file: FoundFile, found: Any) -> None:
        """Give a file the answer to its content, where there is one; else let a worker find it out."""
        digest = found.content_hash if isinstance(found, Fingerprint) else None
        same = None if digest is None else self._library.same_content(digest, self._bundle, self._settings.max_windows)
        if same is None:
            self._again.append(Job(analyze_file, (file.path, self._settings, digest), file))
            return
        is_move = same == file.path or not os.path.lexists(same)
        self._library.adopt(file.path, found, same, is_move=is_move)
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
