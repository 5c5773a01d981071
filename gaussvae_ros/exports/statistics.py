"""Mean, deviation and range of a column, from rows that come one after the other."""

import numpy as np


class Statistics:
    """Of values [N, channels]; those of a `picture` have the shape [channels, 1, 1]."""

    def __init__(self, picture: bool = False) -> None:
        self._picture, self._count, self._rows = picture, 0, 0

    def add(self, values: np.ndarray) -> None:
        """Some rows; of a picture, its pixels."""
        values = values.astype(float)
        count, mean = len(values), values.mean(axis=0)
        spread = ((values - mean) ** 2).sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        if not self._count:
            self._mean, self._spread, self._low, self._high = mean, spread, low, high
        else:  # Chan, Golub and LeVeque 1979
            total, away = self._count + count, mean - self._mean
            self._mean = self._mean + away * count / total
            self._spread = self._spread + spread + away**2 * self._count * count / total
            self._low, self._high = np.minimum(self._low, low), np.maximum(self._high, high)
        self._count += count
        self._rows += 1

    def figures(self) -> dict[str, list]:
        """min, max, mean, std, and the count of rows, ready for JSON."""
        found = {
            "min": self._low,
            "max": self._high,
            "mean": self._mean,
            "std": np.sqrt(self._spread / self._count),
        }
        shape = (-1, 1, 1) if self._picture else (-1,)
        return {name: v.reshape(shape).tolist() for name, v in found.items()} | {
            "count": [self._rows]
        }
