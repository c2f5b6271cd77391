"""A head over the embeddings of a stream's windows, in NumPy: one step a window, a state of fixed size in and out."""

from __future__ import annotations

from .config import HEADS, HeadConfig, StatePart, check_head
from .steps import Head, State

__all__ = ["HEADS", "Head", "HeadConfig", "State", "StatePart", "check_head"]
