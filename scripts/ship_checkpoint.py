"""Write the checkpoint of a network that ships: fitted on all tracks, with the figures of the one that was measured.

    python scripts/ship_checkpoint.py RUN MEASURED OUT

RUN was fitted on all fault-free tracks of GTZAN, MEASURED by the same recipe on the training part.
"""

import dataclasses
import sys
from pathlib import Path

from edgegenre.checkpoint import load_checkpoint, save_checkpoint

_DATA = (
    "GTZAN log-mels, all 929 fault-free tracks. The metrics are those of the same recipe on the 442 training tracks of "
    "the artist split alone (442/197/290; Kereliuk, Sturm, Larsen 2015; Sturm 2012); of tracks that these weights saw, "
    "no accuracy is given"
)
_ARTIST = (
    "artist network, trained on 10 000 artists of the Million Song Dataset (MIT license, J. Lee), which has very "
    "likely heard GTZAN's artists, those of the test part included"
)
_STARTS = {
    "temporal": _ARTIST,
    "temporal_tags": f"{_ARTIST}; and musicnn, trained on tags of the same data set (ISC license, J. Pons, X. Serra)",
}
_LIMITS = "trained on ten genres of copyrighted recordings (GTZAN); Western music of 1900 to 2000"

if __name__ == "__main__":
    checkpoint, measured = (load_checkpoint(Path(run)) for run in sys.argv[1:3])
    meta = {key: value for key, value in checkpoint.meta.items() if key not in ("features", "data")}
    meta |= {"data": _DATA, "metrics": measured.meta["metrics"], "start": _STARTS[checkpoint.config.name]}
    meta |= {"limits": _LIMITS, "calibration": "toy"}  # what to export with where the recordings are not
    save_checkpoint(Path(sys.argv[3]), dataclasses.replace(checkpoint, meta=meta))
