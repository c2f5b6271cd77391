#!/usr/bin/env bash
# Measures again everything in the tables of docs/boards.md: this machine, every emulated board, and the parity suite.
#
#   CLIPS="gtzan/clips gtzan/clips_train" DATA=gtzan.npz scripts/measure_boards.sh [quick|full]      on an idle machine
#
# CLIPS: folders of audio for parity (toy music without). DATA: a feature cache with a test part (no accuracy and no
# parity suite without it). Relative to the root of the checkout. EDGEGENRE: the command to run.
set -euo pipefail
cd "$(dirname "$0")/.."
plan=${1:-full}
read -ra clips <<<"${CLIPS-}" || true
data=${DATA-work/gtzan.npz}
results=devices/results
read -ra edgegenre <<<"${EDGEGENRE:-.venv/bin/edgegenre}"
export OMP_NUM_THREADS=1

[ ${#clips[@]} -gt 0 ] && music=("${clips[@]}") || music=()
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
    "${edgegenre[@]}" bench parity --data "$data" --emulate rpi4 --emulate rpi5 --out "$results/parity-cache.json"
fi
if [ ${#music[@]} -gt 0 ]; then
    "${edgegenre[@]}" bench parity "${music[@]}" --suite --out "$results/parity-clips.json"
fi
"${edgegenre[@]}" bench report --write docs/boards.md --write README.md
