"""A head over the embeddings of a stream's windows, in NumPy: one step per window, with a state of fixed size."""

from __future__ import annotations

from .bundle_head import BundleHead, read_head
from .config import HEADS, HeadConfig, StatePart, check_head
from .steps import Head, State
from .stream import HeadStream

__all__ = ["HEADS", "BundleHead", "Head", "HeadConfig", "HeadStream", "State", "StatePart", "check_head", "read_head"]
