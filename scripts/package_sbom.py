"""Write the SBOM of a wheel, CycloneDX 1.6 as JSON, from its own metadata and what is installed.

python scripts/package_sbom.py dist/edgegenre-*.whl --out dist/edgegenre.cdx.json

The wheel's own files are named with their SHA-256 (as its RECORD has it), the requirements of the base install with the
versions and licenses of this environment. The same wheel in the same environment gives the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import io
import json
import zipfile
from email.parser import Parser
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from edgegenre_runtime.atomic_write import written_beside


def license_of(found: Any) -> str:
    """Return a distribution's license: its SPDX expression, its classifier, or what it calls it itself."""
    if found.get("License-Expression"):
        return str(found["License-Expression"])
    classified = [
        text.rpartition(" :: ")[2] for text in found.get_all("Classifier", []) if text.startswith("License ::")
    ]
    return ", ".join(classified) or str(found.get("License") or "not stated").strip().splitlines()[0]


def requirements(found: Any) -> list[metadata.Distribution]:
    """Return the distributions that a base install needs, with what these need, sorted by name."""
    waiting = [str(line) for line in found.get_all("Requires-Dist", [])]
    seen: dict[str, metadata.Distribution] = {}
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        distribution = metadata.distribution(requirement.name)
        name = str(distribution.metadata["Name"]).lower()
        if name not in seen:
            seen[name] = distribution
            waiting += distribution.requires or []
    return [seen[name] for name in sorted(seen)]


def sbom(wheel: Path) -> dict[str, Any]:
    """Return the SBOM of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        folder = next(name.partition("/")[0] for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        found = Parser().parsestr(archive.read(f"{folder}/METADATA").decode())
        record = list(csv.reader(io.StringIO(archive.read(f"{folder}/RECORD").decode())))
    files = [
        {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": _hex(digest)}]}
        for name, digest, _ in sorted(record)
        if digest
    ]
    needed = requirements(found)
    ours = f"pkg:pypi/{found['Name']}@{found['Version']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": ours,
                "name": found["Name"],
                "version": found["Version"],
                "purl": ours,
                "licenses": [{"license": {"name": license_of(found)}}],
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
            }
        },
        "components": [_component(distribution) for distribution in needed] + files,
        "dependencies": [{"ref": ours, "dependsOn": [_purl(distribution) for distribution in needed]}],
    }


def _purl(distribution: metadata.Distribution) -> str:
    return f"pkg:pypi/{str(distribution.metadata['Name']).lower()}@{distribution.version}"


def _component(distribution: metadata.Distribution) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": _purl(distribution),
        "name": distribution.metadata["Name"],
        "version": distribution.version,
        "purl": _purl(distribution),
        "licenses": [{"license": {"name": license_of(distribution.metadata)}}],
    }


def _hex(digest: str) -> str:
    return base64.urlsafe_b64decode(digest.partition("=")[2] + "==").hex()


def main() -> None:
    """Write the SBOM of the wheel named."""
    parser = argparse.ArgumentParser(description="Write the SBOM of a wheel, CycloneDX 1.6 as JSON.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    options = parser.parse_args()
    with written_beside(options.out) as handle:
        handle.write((json.dumps(sbom(options.wheel), indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
