"""``class_statistics.npz`` of a bundle: where the embeddings of its own classes lie. Writer above, reader below.

A learned class must not take what belongs to the bundle's. So the export keeps, of the training tracks, the mean of
every class in a space of a few axes in which classes spread equally in every direction: ``axes`` whiten the shared
covariance of windows within a class, along the principal components of the tracks. These are averages over many
tracks; nothing of a single one is in them.
"""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import numpy.typing as npt

from edgegenre_runtime.errors import BundleError
from edgegenre_runtime.file_formats import read_npz

from ..bundle import Bundle

__all__ = ["STATISTICS", "ClassStatistics", "pack_statistics", "read_statistics", "unit"]

STATISTICS = "class_statistics.npz"

_Floats = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ClassStatistics:
    """Where the classes of a bundle lie.

    Attributes
    ----------
    center
        Origin of the axes, float32 [D], in the embedding's unit.
    axes
        float32 [D, R].
    means
        Mean direction of each class, float32 [C, R], of length 1.
    """

    center: _Floats
    axes: _Floats
    means: _Floats

    def directions(self, vectors: _Floats) -> _Floats:
        """Return the directions float32 [..., R], of length 1, in which embeddings float32 [..., D] lie."""
        return unit(np.asarray((vectors - self.center) @ self.axes, np.float32))


def unit(vectors: _Floats) -> _Floats:
    """Return vectors [..., R] at length 1; one of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: _Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def pack_statistics(statistics: ClassStatistics) -> bytes:
    """Return the content of ``class_statistics.npz`` (no Python objects in it)."""
    file = io.BytesIO()
    arrays = {field.name: getattr(statistics, field.name) for field in dataclasses.fields(statistics)}
    np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(a, np.float32) for name, a in arrays.items()})
    return file.getvalue()


def read_statistics(bundle: Bundle) -> ClassStatistics:
    """Read the statistics of a bundle.

    Raises
    ------
    BundleError
        If it has none, or none that fit it.
    """
    if STATISTICS not in bundle.manifest["files"]:
        raise BundleError(
            f"bundle {bundle.root} has no {STATISTICS}, so nothing can be learned beside its classes: export it anew "
            "with the training data, edgegenre export --int8 --data CACHE"
        )
    content = bundle.read(STATISTICS)
    try:
        arrays = read_npz(io.BytesIO(content), [field.name for field in dataclasses.fields(ClassStatistics)])
        found = ClassStatistics(**{name: np.asarray(array, np.float32) for name, array in arrays.items()})
    except (TypeError, ValueError, OSError) as error:
        raise BundleError(f"bundle {bundle.root}: {STATISTICS} is damaged: export again") from error
    dims, n_axes = found.axes.shape if found.axes.ndim == 2 else (0, 0)
    shapes = (found.center.shape, found.axes.shape, found.means.shape)
    is_finite = all(np.isfinite(array).all() for array in (found.center, found.axes, found.means))
    if n_axes < 1 or not is_finite or shapes != ((dims,), (dims, n_axes), (len(bundle.labels), n_axes)):
        raise BundleError(f"bundle {bundle.root}: {STATISTICS} does not fit its labels: export again")
    return found
