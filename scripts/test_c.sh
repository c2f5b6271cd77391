#!/usr/bin/env bash
# Compiles front-end, engine and resampler with every warning as an error, and runs the golden vectors under the address
# and undefined-behavior sanitizers.
#
#   scripts/test_c.sh gcc|clang
set -euo pipefail
cd "$(dirname "$0")/.."
cc=${1:?usage: scripts/test_c.sh gcc|clang}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
strict=(-std=c99 -Wall -Wextra -Werror -pedantic -Wconversion -Iruntime/c/include)
for options in -O2 -O3 "-O3 -DEDGEGENRE_MEL_PORTABLE"; do
    read -ra more <<<"$options"
    for source in runtime/c/src/*/*.c; do
        "$cc" "${strict[@]}" "${more[@]}" -c "$source" -o "$folder/unit.o"
    done
done
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check .
"$folder/env/bin/edgegenre" codegen c default --out "$folder/c"
sanitize=(-g -O1 -std=c99 -fsanitize=address,undefined -fno-sanitize-recover=all)
"$cc" "${sanitize[@]}" -I"$folder/c" "$folder"/c/main.c "$folder"/c/edgegenre_mel*.c -o "$folder/mel"
"$folder/env/bin/edgegenre" data piece disco --out "$folder/piece.wav"
"$folder/mel" <"$folder/piece.wav" >"$folder/window.bin"
EDGEGENRE_FRONTEND=numpy "$folder/env/bin/python" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
import soundfile
from edgegenre_runtime.frontend import active_implementation, log_mel, normalize, released

folder, tables = Path(sys.argv[1]), released("seed3s")
assert active_implementation() == "numpy"
pcm = soundfile.read(folder / "piece.wav", dtype="int16")[0]
expected = normalize(log_mel(pcm, tables).frames_q9[:, -tables.spec.frames_per_window:], tables).cells
got = np.frombuffer((folder / "window.bin").read_bytes(), np.int8).reshape(expected.shape)
sys.exit(0 if np.array_equal(got, expected) else "the C front-end's window is not the NumPy reference's")
PYTHON
lanes=() # with sanitizers clang takes many minutes for the engine's vectors; gcc runs them
[[ $cc == *clang* ]] && lanes=(-DEDGEGENRE_NET_PORTABLE)
"$cc" "${sanitize[@]}" "${lanes[@]}" -DSTANDALONE -Iruntime/c/include tests/c/fuzz_net.c runtime/c/src/net/*.c \
    -o "$folder/fuzz"
for name in default accurate; do "$folder/fuzz" runtime/edgegenre_runtime/$name/net.eg 50 1; done
"$cc" "${sanitize[@]}" -DSTANDALONE -Iruntime/c/include -Iruntime/c/examples tests/c/fuzz_sound.c \
    runtime/c/src/{audio,music}/*.c -o "$folder/fuzz_sound"
"$folder/fuzz_sound" 150 1 2>"$folder/refused"
echo "$cc: no warning, the reference's bits, nothing found by the sanitizers"
