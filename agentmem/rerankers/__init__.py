"""A second look at the best few: models that read the question and a memory together. None of them is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentmem.errors import BackendError

if TYPE_CHECKING:
    from agentmem.interfaces import Scores


def as_scores(opinions: Any, count: int, name: str) -> Scores:
    """What a foreign model thinks of ``count`` texts, checked: (count,) float32, brought into 0..1.

    Args:
        name: The reranker's, for the message.

    Raises:
        BackendError: it is not that many finite numbers.
    """
    import numpy as np

    try:
        scores = np.asarray(opinions, np.float32)
    except (TypeError, ValueError) as error:
        raise BackendError(f"The reranker {name} returned something that is not numbers.") from error
    if scores.shape != (count,) or not np.isfinite(scores).all():
        raise BackendError(f"The reranker {name} returned {scores.shape} for {count} texts, or no finite numbers.")
    return np.clip(scores, 0, 1)


def probabilities(logits: Any) -> Any:
    """Of each row of a cross-encoder's output that the text answers the question: (n,) float, 0..1.

    Args:
        logits: (n,) or (n, 1) log odds; or (n, 2) for no and yes.
    """
    import numpy as np

    rows = np.asarray(logits, np.float64).reshape(len(logits), -1)
    odds = rows[:, -1] - rows[:, 0] if rows.shape[1] == 2 else rows[:, 0]
    return 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
