"""Means with their intervals, and areas under ROC curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEED: Final = 20_260_101
_SAMPLES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean (or an area) over ``n`` questions with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def figure(values: Sequence[float]) -> Figure:
    """The mean of the values; the interval is a bootstrap of 2,000 samples."""
    import numpy as np

    sample = np.asarray(values, float)
    means = np.random.default_rng(SEED).choice(sample, (_SAMPLES, len(sample))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(float(sample.mean()), float(low), float(high), len(sample))


def figures(rows: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """Of each metric that any row has, over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: figure([row[name] for row in rows if name in row]) for name in names}


def auc(right: Sequence[float], wrong: Sequence[float]) -> Figure:
    """How often one of ``right`` is above one of ``wrong``, ties by half; ``n`` counts ``right``."""
    import numpy as np

    random = np.random.default_rng(SEED)
    above, below = np.asarray(right, float), np.asarray(wrong, float)
    areas = [_area(random.choice(above, len(above)), random.choice(below, len(below))) for _ in range(_SAMPLES // 4)]
    low, high = np.percentile(areas, [2.5, 97.5])
    return Figure(_area(above, below), float(low), float(high), len(above))


def _area(right: NDArray[Any], wrong: NDArray[Any]) -> float:
    import numpy as np

    order = np.sort(wrong)
    places = np.searchsorted(order, right, "left") + np.searchsorted(order, right, "right")
    return float(places.mean() / (2 * len(wrong)))
