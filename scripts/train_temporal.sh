#!/usr/bin/env bash
# Makes and measures `temporal`: the published artist network with a fitted head, from the shared GTZAN log-mels. Nothing in it
# is random. What is measured on GTZAN is fitted on the training part of the artist split; the last bundle, by the same
# recipe on all fault-free tracks, is measured on songs from elsewhere alone.
set -euo pipefail
cd "$(dirname "$0")/.."
shared=${SHARED:-../shared}
weights=${WEIGHTS:-$shared/weights/artist_siamese10000.npz}
bin=.venv/bin
gtzan=work/gtzan_seed3s.npz
outside=work/outside_seed3s.npz

mkdir -p work
[ -e $gtzan ] || $bin/edgegenre data import-logmel "$shared/data/gtzan" --spec seed3s --out $gtzan
[ -e $outside ] || $bin/edgegenre data import-songs "$shared/data/outside" --spec seed3s --out $outside
$bin/edgegenre fit-head $gtzan --weights "$weights" --overwrite --out work/temporal
for part in valid test; do
    $bin/edgegenre evaluate work/temporal $gtzan --part $part --record
    $bin/edgegenre evaluate work/temporal $outside --part $part
done
$bin/edgegenre export work/temporal --int8 --data $gtzan --out work/temporal_bundle
for part in valid test; do
    $bin/edgegenre evaluate work/temporal_bundle $gtzan --part $part
    $bin/edgegenre evaluate work/temporal_bundle $outside --part $part
done
$bin/edgegenre fit-head $gtzan --weights "$weights" --all --overwrite --out work/temporal_all
$bin/edgegenre export work/temporal_all --int8 --data $gtzan --out work/temporal_all_bundle
for part in valid test; do $bin/edgegenre evaluate work/temporal_all_bundle $outside --part $part; done
