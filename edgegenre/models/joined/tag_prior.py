"""What a genre's name means in the tags of listeners: where a regression starts that has few tracks to learn from.

A label takes the tag that is called as it is; for GTZAN's labels without one, and where several tags say it better, a
table stands here. Other labels start from nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["prior_weights"]

_TAGS_OF = {
    "classical": ("instrumental", "ambient", "beautiful"),
    "disco": ("dance", "funk", "70s", "80s", "party"),
    "metal": ("metal", "heavy metal"),
    "pop": ("pop", "catchy", "female vocalists"),
    "reggae": ("funk", "soul", "happy", "sexy", "Hip-Hop"),
    "rock": ("rock", "classic rock", "hard rock", "alternative rock"),
}


def prior_weights(
    labels: Sequence[str], tags: Mapping[str, int], standardized: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the weights of a regression that answers each label by the mean of its tags, float64 [C, D].

    Parameters
    ----------
    labels
        The classes.
    tags
        Which feature each tag is.
    standardized
        float64 [n, D], features of tracks, standardized; a label's answers over them vary by 1.
    """
    by_word = {_word(tag): tag for tag in tags}
    weights = np.zeros((len(labels), standardized.shape[1]))
    for row, label in zip(weights, labels, strict=True):
        word = _word(label)
        found = _TAGS_OF.get(word, (by_word[word],) if word in by_word else ())
        row[[tags[tag] for tag in found]] = 1.0
    deviation = (standardized @ weights.T).std(axis=0)
    return weights / np.where(deviation > 0, deviation, 1.0)[:, None]


def _word(name: str) -> str:
    """Return a name without what spellings differ in: `Hip-Hop` and `hiphop` are one."""
    return "".join(filter(str.isalnum, name.lower()))
