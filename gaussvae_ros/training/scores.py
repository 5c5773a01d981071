"""How well scores tell what pictures show, as MedMNIST's evaluator has it."""

import numpy as np

from gaussvae_ros.errors import DataError


def auc(shows: np.ndarray, scores: np.ndarray) -> float:  # bool [N, C], [N, C]
    """The area under the ROC curve, the mean over classes; of two classes that exclude each other,
    that is the area of each. Classes that all or none of the pictures show are left out.

    Raises:
        DataError: none is left.
    """
    areas = [
        _area(shows[:, k], scores[:, k])
        for k in range(shows.shape[1])
        if 0 < shows[:, k].sum() < len(shows)
    ]
    if not areas:
        raise DataError("the pictures to measure show all the same")
    return float(np.mean(areas))


def accuracy(shows: np.ndarray, scores: np.ndarray, several: bool) -> float:
    """The share of pictures whose class has the highest score; where a picture may show `several`,
    of all answers, yes from a probability of a half on."""
    if several:
        return float(np.mean((scores >= 0.5) == shows))
    return float(np.mean(shows[np.arange(len(shows)), scores.argmax(1)]))


def _area(shown: np.ndarray, scores: np.ndarray) -> float:
    """The share of pairs of a picture that shows it and one that does not where the first has the
    higher score; ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # 1 for the lowest, means of ties
    yes = int(shown.sum())
    return float((ranks[shown].sum() - yes * (yes + 1) / 2) / (yes * (len(shown) - yes)))
