#!/usr/bin/env bash
# Makes the checkpoint and the bundle that ship with the package, from the shared GTZAN log-mels. About 20 minutes
# on two cores. The recordings stay where they are: what is committed are weights and integers.
set -euo pipefail
cd "$(dirname "$0")/.."
gtzan=${GTZAN:-../shared/data/gtzan}
bin=.venv/bin
run=work/default

mkdir -p work
$bin/edgegenre data import-logmel "$gtzan" --out work/gtzan.npz
[ -e $run/curves.png ] || $bin/edgegenre train work/gtzan.npz --model cnn --out $run --epochs 40 --patience 40 --crops 2 --precision bf16-mixed
for part in valid test; do $bin/edgegenre evaluate $run work/gtzan.npz --part $part --record; done
$bin/python - "$run" <<'PYTHON'
import dataclasses, sys
from pathlib import Path
from edgegenre.checkpoint import default_checkpoint, load_checkpoint, save_checkpoint

checkpoint = load_checkpoint(Path(sys.argv[1]))
meta = {key: value for key, value in checkpoint.meta.items() if key != "features"}
meta["data"] = "GTZAN log-mels, fault-filtered artist split 442/197/290 (Kereliuk, Sturm, Larsen 2015; Sturm 2012)"
meta["limits"] = "trained on ten genres of copyrighted recordings (GTZAN); Western music of 1900 to 2000"
meta["calibration"] = "toy"  # what to export with where the recordings are not
save_checkpoint(default_checkpoint(), dataclasses.replace(checkpoint, meta=meta))
PYTHON
$bin/edgegenre export --int8 --data work/gtzan.npz --out runtime/edgegenre_runtime/default
for part in valid test; do $bin/edgegenre evaluate runtime/edgegenre_runtime/default work/gtzan.npz --part $part; done
