# What release_default.sh and release_accurate.sh share; they set `data` and source it from the repository's root.
edgegenre=${EDGEGENRE:-.venv/bin/edgegenre}
python=${PYTHON:-.venv/bin/python}
gtzan=work/gtzan_seed3s.npz
outside=work/outside_seed3s.npz
sounds=work/sounds_seed3s.npz

mkdir -p work
[ -e $gtzan ] || $edgegenre data import-logmel "$data/gtzan" --spec seed3s --out $gtzan
[ -e $outside ] || $edgegenre data import-songs "$data/outside" --spec seed3s --out $outside
[ -e work/sounds ] || [ -e $sounds ] || $python scripts/sounds_from_packages.py work/sounds
[ -e $sounds ] || $edgegenre data sounds $sounds --spec seed3s --folder work/sounds

measure() {  # a checkpoint or a bundle, and --record for a checkpoint
    for part in valid test; do
        $edgegenre evaluate "$1" $gtzan --part $part --sounds $sounds ${2:-}
        $edgegenre evaluate "$1" $outside --part $part --sounds $sounds ${2:+$2 --name outside}
    done
}
