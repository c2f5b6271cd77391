#!/usr/bin/env bash
# Measures anew all that README's tables tell of boards: this machine, every emulated one, and the parity suite.
#
#   scripts/measure_boards.sh [quick|full]      from the root of a checkout, on a machine that does nothing else
#
# CLIPS is a folder of audio for parity (toy music if it is not there), DATA a feature cache with a test part (no accuracy
# and no parity suite without it), EDGEGENRE how the command line is called.
set -euo pipefail
cd "$(dirname "$0")/.."
plan=${1:-full}
clips=${CLIPS-../shared/data/gtzan/clips}
data=${DATA-work/gtzan.npz}
results=devices/results
read -ra edgegenre <<<"${EDGEGENRE:-.venv/bin/edgegenre}"
export OMP_NUM_THREADS=1

[ -d "$clips" ] && music=("$clips") || music=()
[ -f "$data" ] && evaluated=(--data "$data") || evaluated=()
mkdir -p "$results"

"${edgegenre[@]}" bench run --plan "$plan" --peers "${evaluated[@]}" --out "$results/x86-64.json" --page "$results/x86-64.html"
for device in rpizero2w rpi3bplus android-arm64 cortex-m55 esp32-s3; do
    "${edgegenre[@]}" bench emulate "${music[@]}" --device "$device" --out "$results/$device.json"
done
for device in rpi4 rpi5; do
    "${edgegenre[@]}" bench emulate "${music[@]}" --device "$device" --peers --out "$results/$device.json"
done
if [ -f "$data" ]; then
    "${edgegenre[@]}" bench parity --data "$data" --out "$results/zz-parity.json"
fi
"${edgegenre[@]}" bench report --write README.md
