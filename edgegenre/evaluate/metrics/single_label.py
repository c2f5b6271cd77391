"""Metrics from probabilities: per class, confusion, intervals, calibration, and the comparison of two models.

scikit-learn and SciPy are imported when they are used, so that wrong arguments are refused without waiting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .wilson import wilson_interval

__all__ = [
    "ECE_BINS",
    "UNCERTAIN_LOST",
    "Calibration",
    "ClassScore",
    "Metrics",
    "calibration",
    "class_scores",
    "mcnemar_exact",
    "measure",
    "uncertain_below",
]

ECE_BINS = 15
"""Bins of equal width over the confidence 0 to 1."""


@dataclasses.dataclass(frozen=True, slots=True)
class ClassScore:
    """Precision, recall and F1 (0 where undefined) of a class, and how many tracks are of it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Confidence against accuracy.

    Attributes
    ----------
    ece
        Expected calibration error: mean of |accuracy − confidence| over the bins, weighted by their counts
        (Naeini, Cooper, Hauskrecht 2015; Guo et al. 2017, equation 3).
    confidence, accuracy
        float64 [n_bins], mean of a bin; 0 in an empty one.
    counts
        int64 [n_bins].
    """

    ece: float
    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """All metrics over ``n`` items (tracks or windows).

    Attributes
    ----------
    n
        Items.
    accuracy, accuracy_95
        Fraction whose top class is correct, with Wilson's 95 % interval.
    weighted_f1, macro_f1
        Mean F1 of the classes that occur, weighted by support, and plain.
    classes
        Per class, in the order of the labels.
    confusion
        int64 [n_classes, n_classes]; rows: truth, columns: prediction.
    calibration
        Of the top class's probability.
    """

    n: int
    accuracy: float
    accuracy_95: tuple[float, float]
    weighted_f1: float
    macro_f1: float
    classes: tuple[ClassScore, ...]
    confusion: npt.NDArray[np.int64]
    calibration: Calibration

    @property
    def macro_recall(self) -> float:
        """Mean recall of the classes that occur (balanced accuracy): what prevalence does not change."""
        return float(np.mean([row.recall for row in self.classes if row.support]))


def measure(probabilities: npt.NDArray[np.float32], truth: npt.NDArray[np.int64], labels: Sequence[str]) -> Metrics:
    """Return all metrics of probabilities float [n, n_classes], n at least 1, against ``truth`` int [n]."""
    from sklearn.metrics import confusion_matrix, f1_score

    answers, n = probabilities.argmax(axis=1), len(truth)
    present = np.unique(truth)
    weighted_f1, macro_f1 = (
        float(f1_score(truth, answers, labels=present, average=average, zero_division=0))
        for average in ("weighted", "macro")
    )
    hits = int((answers == truth).sum())
    return Metrics(
        n=n,
        accuracy=hits / n,
        accuracy_95=wilson_interval(hits, n),
        weighted_f1=weighted_f1,
        macro_f1=macro_f1,
        classes=class_scores(truth, answers, labels),
        confusion=confusion_matrix(truth, answers, labels=range(len(labels))).astype(np.int64),
        calibration=calibration(probabilities.max(axis=1), answers == truth),
    )


def class_scores(
    truth: npt.NDArray[np.int64], answers: npt.NDArray[np.int64], labels: Sequence[str]
) -> tuple[ClassScore, ...]:
    """Return precision, recall, F1 and support of each class, from int [n] indices into ``labels``."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, answers, labels=range(len(labels)), zero_division=0)
    return tuple(
        ClassScore(label, float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support in zip(labels, *columns, strict=True)
    )


def calibration(
    confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_], n_bins: int = ECE_BINS
) -> Calibration:
    """Compare confidence with accuracy in bins of equal width (Guo et al. 2017).

    Parameters
    ----------
    confidence
        float [n], probability of the top class, 0 to 1, n at least 1; a bin includes its upper edge.
    right
        bool [n], whether the top class was correct.
    n_bins
        Bins over 0 to 1.
    """
    at = np.clip(np.ceil(confidence.astype(np.float64) * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    counts = np.bincount(at, minlength=n_bins).astype(np.int64)
    some = np.maximum(counts, 1)
    mean_confidence = np.bincount(at, weights=confidence, minlength=n_bins) / some
    accuracy = np.bincount(at, weights=right, minlength=n_bins) / some
    ece = float((np.abs(accuracy - mean_confidence) * counts).sum() / counts.sum())
    return Calibration(ece, mean_confidence, accuracy, counts)


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Return the two-sided exact p-value of McNemar's test (1947; binomial with probability ½).

    Parameters
    ----------
    only_a, only_b
        Items that only the first, and only the second, model has correct.
    """
    from scipy.stats import binomtest

    n = only_a + only_b
    return float(binomtest(only_a, n, 0.5).pvalue) if n else 1.0


UNCERTAIN_LOST = 0.05
"""Share of the answers of validation windows that are right that may be below ``uncertain_below``."""


def uncertain_below(
    answers: Sequence[tuple[npt.NDArray[np.floating], npt.NDArray[np.int64]]], most_lost: float = 1.0
) -> float:
    """Return the confidence below which an answer should be ``uncertain``, 0 … 1.

    The threshold on the largest probability with the fewest errors of both kinds (correct answers rejected and wrong
    ones accepted, as shares of all), among those that reject at most ``most_lost`` of the correct ones; both in the
    mean over the data sets. Among equals, the lowest.

    Parameters
    ----------
    answers
        By data set, probabilities float [n, C], smoothed as they are where the threshold is applied, and truth
        int64 [n].
    most_lost
        Share of the correct answers that may be rejected.
    """
    confidences = [np.sort(probabilities.max(axis=1)) for probabilities, _ in answers]
    limits = np.unique(np.concatenate([np.zeros(1), *(np.nextafter(one, 2.0) for one in confidences)]))
    lost, errors = np.zeros(len(limits)), np.zeros(len(limits))
    for probabilities, truth in answers:
        is_right = probabilities.argmax(axis=1) == truth
        right, wrong = (np.sort(probabilities.max(axis=1)[chosen]) for chosen in (is_right, ~is_right))
        rejected = np.searchsorted(right, limits)
        lost += rejected / max(len(right), 1) / len(answers)
        errors += (rejected + len(wrong) - np.searchsorted(wrong, limits)) / len(truth) / len(answers)
    errors[lost > most_lost] = np.inf
    return min(1.0, float(limits[int(errors.argmin())]))
