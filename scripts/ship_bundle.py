"""Put into the package what a device needs of an exported bundle; the rest is made on demand.

    python scripts/ship_bundle.py BUNDLE [NAME]

BUNDLE is what `edgegenre export --int8 --out BUNDLE` wrote; NAME is what `--bundle` calls it, `default` if not given.
The float, waveform and ONNX models, C folder, tables of tensors and the HTML card stay behind: `edgegenre export` and
`edgegenre codegen c` write them.
"""

import re
import sys
from pathlib import Path

from edgegenre_runtime.audio.music_detector import DETECTOR_FILE
from edgegenre_runtime.network.bundle import Bundle, read_bundle, write_bundle
from edgegenre_runtime.network.classifier import default_bundle
from edgegenre_runtime.network.golden import GOLDEN, embedding_key, golden_key, pack_golden, read_golden

MODELS = ("model_int8.tflite",)
ENGINE = "net.eg"
COPIED = (*MODELS, ENGINE, DETECTOR_FILE, "class_statistics.npz", "recipe.json", "calibration.json")
_STAGES = ("pcm", "frames_q9", "cells", "is_silence")
_WRITTEN_HERE = ("files", "format_version", "labels", "spec_hash")
_NOTE = (
    "This is the bundle inside the package, with what a device needs. `edgegenre export --int8` writes the float, "
    "waveform and ONNX models and the C folder too, `edgegenre codegen c` the C folder of any bundle."
)


def ship(bundle: Bundle, out: Path) -> None:
    """Write the bundle of a device to ``out``."""
    arrays = read_golden(bundle)
    kept = [*_STAGES, *map(golden_key, (*MODELS, ENGINE)), golden_key(MODELS[0], reference_kernels=True)]
    kept += map(embedding_key, (*MODELS, ENGINE))
    about = {key: value for key, value in bundle.manifest.items() if key not in _WRITTEN_HERE}
    about["model_reports"] = {name: about["model_reports"][name] for name in MODELS}
    about["metrics"] = [entry for entry in about["metrics"] if entry["artifact"] in MODELS]
    files = {name: bundle.read(name) for name in COPIED if name in bundle.manifest["files"]}
    files[GOLDEN] = pack_golden({name: arrays[name] for name in kept if name in arrays})
    files["card.md"] = shorten_card(bundle.read("card.md").decode(), bundle.manifest["files"]).encode()
    write_bundle(out, files, tables=bundle.tables, labels=bundle.labels, about=about)


def shorten_card(card: str, names: object) -> str:
    """Return a card without the lines and sections of models that are left behind."""
    models = [name for name in names if name.startswith("model_") and name not in MODELS]  # type: ignore[attr-defined]
    row = re.compile(rf"^(\| |- `)({'|'.join(map(re.escape, models))})\b")
    lines = [line for line in card.splitlines(keepends=True) if not row.match(line) and not line.startswith(_NOTE[:40])]
    sections = re.split(r"(?m)^(?=##)", "".join(lines))
    shipped = [part for part in sections if not any(name in part for name in models)]
    text = "".join(shipped).replace("## Files\n", f"## Files\n\n{_NOTE}\n", 1)
    return re.sub("\n{3,}", "\n\n", text)


if __name__ == "__main__":
    ship(read_bundle(Path(sys.argv[1])), default_bundle().with_name(sys.argv[2] if len(sys.argv) > 2 else "default"))
