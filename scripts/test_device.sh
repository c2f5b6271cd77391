#!/usr/bin/env bash
# Tests what runs on a device with the base install alone, in an environment of its own.
#
#   scripts/test_device.sh newest|lowest      lowest: the lowest versions that pyproject.toml allows
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1-}" in newest) resolution=highest ;; lowest) resolution=lowest-direct ;; *) echo "usage: $0 newest|lowest" >&2; exit 2 ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
bin=$folder/env/bin
"$bin/pip" install --quiet --disable-pip-version-check uv
"$bin/uv" pip install --quiet --python "$bin/python" --resolution "$resolution" .
"$bin/uv" pip install --quiet --python "$bin/python" pytest pytest-timeout pytest-xdist hypothesis jsonschema hatchling
"$bin/uv" pip list --python "$bin/python" 2>/dev/null | grep -E '^(numpy|sounddevice|soundfile|soxr|typer|click|tomli) '
# pytest and not python -m pytest: the package that is tested is the installed one. What needs an extra is left out.
"$bin/pytest" -q -n 2 -m "not slow" -p no:cacheprovider \
    tests/runtime/frontend tests/runtime/audio tests/runtime/live tests/runtime/outputs tests/edgegenre/toy \
    --ignore tests/runtime/frontend/test_librosa_bound.py --ignore tests/runtime/frontend/test_tables.py \
    --ignore tests/runtime/audio/test_media.py --ignore tests/runtime/audio/test_real_lengths.py \
    --ignore tests/runtime/audio/test_excerpts.py --ignore tests/runtime/live/test_microphone.py \
    --ignore tests/runtime/outputs/test_http_page.py --deselect tests/runtime/audio/test_files.py::test_what_is_not_audio_is_one_line
