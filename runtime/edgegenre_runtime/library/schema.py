"""The database's schema, one step per version: a database of an older version goes through the steps it lacks."""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS"]

APPLICATION_ID = 0x45474C42
"""``EGLB``: what SQLite's header says about whose database it is."""

_TRACKS = """
CREATE TABLE bundles (
    id INTEGER PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,          -- of what decides its answers
    description TEXT NOT NULL           -- JSON: task, labels, thresholds, names, dims
);
CREATE TABLE tracks (
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL UNIQUE,          -- absolute, the file system's bytes
    size INTEGER NOT NULL,              -- bytes
    mtime_ns INTEGER NOT NULL,
    content_hash BLOB,                  -- SHA-256 of the file; NULL where it could not be read
    scanned_at TEXT NOT NULL,           -- UTC, ISO 8601
    is_gone INTEGER NOT NULL DEFAULT 0, -- the last scan did not find the file
    bundle INTEGER NOT NULL REFERENCES bundles (id),
    max_windows INTEGER NOT NULL,       -- asked for, 0: all
    n_windows INTEGER NOT NULL,         -- analyzed
    duration_s REAL,
    label TEXT,                         -- the answer; NULL where there is an error
    genres TEXT,                        -- JSON: the answer's labels, most probable first
    confidence REAL,                    -- the answer's probability
    top TEXT,                           -- JSON: the three most probable classes with their probabilities
    probabilities BLOB,                 -- float32 of each of the bundle's names; NULL for silence and noise
    embedding BLOB,                     -- float16, mean over the windows; NULL for silence
    warnings TEXT,                      -- JSON: what was wrong with the file
    error TEXT                          -- why there is no answer
);
CREATE INDEX tracks_of_size ON tracks (size);
CREATE INDEX tracks_of_content ON tracks (content_hash);
CREATE INDEX tracks_of_label ON tracks (label);
"""

_TAG_CHANGES = """
CREATE TABLE tag_changes (
    id INTEGER PRIMARY KEY,
    track INTEGER NOT NULL,     -- a row of tracks, whose path is the file's of today
    changed_at TEXT NOT NULL,   -- UTC, ISO 8601
    before TEXT NOT NULL,       -- JSON: the values of the genre tag
    after TEXT NOT NULL,
    is_undone INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX tag_changes_of_track ON tag_changes (track);
"""

_STATE = """
CREATE INDEX tracks_of_bundle ON tracks (bundle, scanned_at);
CREATE TABLE state (
    token BLOB NOT NULL -- one row, another value after every change of what a search finds
);
INSERT INTO state VALUES (randomblob(16));
CREATE TRIGGER state_after_insert AFTER INSERT ON tracks BEGIN UPDATE state SET token = randomblob(16); END;
CREATE TRIGGER state_after_delete AFTER DELETE ON tracks BEGIN UPDATE state SET token = randomblob(16); END;
CREATE TRIGGER state_after_update AFTER UPDATE OF id, bundle, is_gone, error, embedding ON tracks
BEGIN UPDATE state SET token = randomblob(16); END;
"""

MIGRATIONS: tuple[str, ...] = (_TRACKS, _TAG_CHANGES, _STATE)
"""Step i makes a database of version i one of version i + 1."""
