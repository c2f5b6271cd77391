"""Check that everything in the base install has a license under which a device may carry it.

python scripts/dependency_licenses.py

Prints a line for each distribution; exit code 1 where a license is not one of those that were looked at.
"""

from __future__ import annotations

import sys
from importlib import metadata

from package_sbom import license_of, requirements
from script_output import until_closed

ALLOWED = ("apache", "bsd", "isc", "mit", "psf", "python software foundation", "0bsd", "zlib", "mpl-2.0", "lgpl")
"""Parts of what they are called. soxr is LGPL and linked dynamically by its own wheel: it can be replaced."""


def is_allowed(name: str) -> bool:
    """Return whether a license is one of those that were looked at; GPL and AGPL are not."""
    lower = name.lower()
    found = lower.replace("lgpl", "") if "lgpl" in lower else lower
    return any(part in lower for part in ALLOWED) and "gpl" not in found and "affero" not in lower


def main() -> int:
    """Print every license and return the exit code."""
    refused = False
    for distribution in requirements(metadata.metadata("edgegenre")):
        name = license_of(distribution.metadata)
        refused |= not is_allowed(name)
        mark = "" if is_allowed(name) else "NOT ALLOWED  "
        print(f"{mark}{distribution.metadata['Name']} {distribution.version}: {name}")
    return int(refused)


if __name__ == "__main__":
    with until_closed():
        sys.exit(main())
