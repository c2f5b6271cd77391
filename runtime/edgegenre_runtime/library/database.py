"""The SQLite file: whose it is, of which version, and one writer at a time."""

from __future__ import annotations

import contextlib
import os
import shlex
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edgegenre_runtime.errors import DataError

from .schema import APPLICATION_ID, MIGRATIONS

__all__ = ["lock_for_writing", "open_database", "said_plainly"]

_WAIT_S = 10.0  # for another program that writes just now
_FULL = ("disk is full", "disk i/o error")


@contextlib.contextmanager
def said_plainly(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into a :class:`DataError` of one line that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        message = str(error).lower()
        if any(words in message for words in _FULL):
            advice = "free some space and run the same command again: what was stored before is kept"
        elif "locked" in message or "busy" in message:
            advice = "another program writes to it: wait for it to end"
        elif _is_refused(error):
            advice = "the file and its folder must be writable"
        else:
            advice = "the database is damaged: restore a copy, or scan into a new one"
        raise DataError(f"{path}: {message}; {advice}") from error


def open_database(path: Path, *, create: bool, version: int = len(MIGRATIONS)) -> sqlite3.Connection:
    """Open a library's database, and bring an older one up to date.

    Where file or folder cannot be written, it is opened for reading alone.

    Parameters
    ----------
    path
        The file; beside it SQLite keeps ``-wal`` and ``-shm`` while it is open.
    create
        Whether it is made where there is none; then it must be writable.
    version
        Of the schema; the newest but for tests.

    Raises
    ------
    DataError
        It is not there, is no library's database, is of a newer version, is damaged, locked or cannot be written.
    """
    if not create and not os.path.exists(path):
        command = f"edgegenre library scan MUSIC --db {shlex.quote(str(path))}"
        raise DataError(f"{path}: there is no such library: make one with  {command}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: is a folder or a device, no database: name another file with --db")
    if create and not os.path.isdir(path.parent):
        raise DataError(f"{path}: cannot write, there is no folder {path.parent}")
    with said_plainly(path):
        try:
            return _open(path, path, version)
        except sqlite3.OperationalError as error:
            if create or not _is_refused(error) or not os.access(path, os.R_OK) or _has_log(path):
                raise
            # without a log beside it, the file is all there is, and nobody can be writing to it
            return _open(f"{path.absolute().as_uri()}?mode=ro&immutable=1", path, version, is_uri=True)


def _open(name: Path | str, path: Path, version: int, *, is_uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(name, timeout=_WAIT_S, isolation_level=None, uri=is_uri)
    try:
        _check_and_migrate(connection, path, version)
        if not is_uri:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_refused(error: sqlite3.Error) -> bool:
    """Return whether a file or its folder may not be written."""
    return any(words in str(error).lower() for words in ("readonly", "unable to open"))


def _has_log(path: Path) -> bool:
    """Return whether some of a database lies in SQLite's log beside it."""
    log = path.with_name(path.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def _check_and_migrate(connection: sqlite3.Connection, path: Path, version: int) -> None:
    try:
        owner, found = (
            connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
        )
        is_new = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.DatabaseError as error:
        if "not a database" not in str(error):
            raise
        raise DataError(f"{path}: is no SQLite database: name another file with --db") from error
    if owner != APPLICATION_ID and not (is_new and owner == 0):
        raise DataError(f"{path}: is a database of another program: name another file with --db")
    if found > version:
        raise DataError(
            f"{path}: is of version {found}, this edgegenre reads up to {version}: update edgegenre, or scan into "
            "a new database"
        )
    if found < version or is_new:
        _migrate(connection, found, version)


def _migrate(connection: sqlite3.Connection, found: int, version: int) -> None:
    """Go through the steps that are lacking, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]  # somebody else may have been quicker
        for step in MIGRATIONS[found:version]:
            for statement in step.split(";\n"):
                if statement.strip():
                    connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def lock_for_writing(path: Path) -> Iterator[None]:
    """Keep other runs that change the library out; the lock ends with the process, however that ends.

    Raises
    ------
    DataError
        Another run has it, or the file ``PATH.lock`` cannot be written.
    """
    import fcntl

    lock = path.with_name(path.name + ".lock")
    try:
        handle: BinaryIO = lock.open("a+b")
    except OSError as error:
        raise DataError(f"{lock}: cannot write ({(error.strerror or str(error)).lower()})") from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            handle.seek(0)
            owner = handle.read(20).decode("ascii", "replace").strip()
            raise DataError(
                f"{path}: another run of edgegenre is changing this library (process {owner or 'unknown'}): "
                "wait for it to end"
            ) from error
        with contextlib.suppress(OSError):  # the number is for people; a full disk may refuse it
            handle.truncate(0)
            handle.write(f"{os.getpid()}\n".encode())
            handle.flush()
        yield
