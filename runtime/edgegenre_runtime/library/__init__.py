"""A music library in an SQLite database: scanned by the classifier, read by everything that sorts or tags music."""

from .records import Analysis, BundleRecord, Track
from .store import Library

__all__ = ["Analysis", "BundleRecord", "Library", "Track"]
