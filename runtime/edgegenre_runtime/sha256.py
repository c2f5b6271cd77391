"""SHA-256 without OpenSSL, which ``import hashlib`` loads: 3.4 MB of memory for a few hundred kilobytes to hash.

CPython's own implementation, as its ``random`` takes SHA-512; other Pythons take hashlib's.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        if sys.version_info >= (3, 12):
            from _sha2 import sha256
        else:
            from _sha256 import sha256
    except ImportError:
        from hashlib import sha256

__all__ = ["sha256"]
