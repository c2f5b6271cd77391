#!/usr/bin/env bash
# Makes the checkpoint and the bundle that ship with the package, from GTZAN's log-mels and the published weights
# of the artist network. Nothing in it is random. The network that is measured is fitted on the training part of the
# artist split; the one that ships, by the same recipe on all fault-free tracks. The recordings stay where they are:
# what is committed are weights and integers.
#
#   scripts/release_default.sh --data DATA --weights artist_siamese10000.npz
#
# DATA has the folders gtzan/ and outside/ (docs/reproduce.md says what lies in them).
set -euo pipefail
[ $# = 4 ] && [ "$1" = --data ] && [ "$3" = --weights ] || { echo "usage: $0 --data DATA --weights FILE" >&2; exit 2; }
data=$(realpath "$2") weights=$(realpath "$4")
cd "$(dirname "$0")/.."
. scripts/release_common.sh

# The network that is measured: how sure it says it is and what it calls no music are fitted on both validation parts.
$edgegenre fit-head $gtzan --weights "$weights" --overwrite --out work/temporal
$edgegenre calibrate work/temporal $gtzan $outside --sounds $sounds
measure work/temporal --record
$edgegenre export work/temporal --int8 --data $gtzan --out work/temporal_bundle
measure work/temporal_bundle

# The network that ships. Of tracks that it saw, no accuracy is given.
$edgegenre fit-head $gtzan --weights "$weights" --all --overwrite --out work/temporal_all
$edgegenre calibrate work/temporal_all --like work/temporal
$python scripts/ship_checkpoint.py work/temporal_all work/temporal edgegenre/default/temporal.safetensors
$edgegenre export --int8 --data $gtzan --out work/default_bundle
$python scripts/ship_bundle.py work/default_bundle
for part in valid test; do
    $edgegenre evaluate runtime/edgegenre_runtime/default $outside --part $part --sounds $sounds
done
