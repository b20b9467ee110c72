"""How well memory finds what benchmarks ask for, on the path that ships: store_many, then retrieve, nothing else.

Definitions, pinned:

- **turn recall@k**: the mean over questions of the share of gold turns among the first k hits; **all@k**: the share
  of questions with every gold turn among them. LoCoMo: questions with at least one resolvable evidence turn;
  categories 1-4 in ``all``, adversarial apart.
- **session recall_any/all@k**: sessions in the order of their first hit; any / every session of
  ``answer_session_ids`` among the first k. **NDCG@k**: of that order, textbook discount ``1 / log2(rank + 1)``.
- LongMemEval: questions without an answer (``_abs``) are left out, assistant turns are indexed, one memory a question.
- Intervals: 95 %, bootstrap over questions, 2,000 samples, fixed seed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentmem.bench.datasets import BenchQuestion, Dataset, History, load
from agentmem.records import Scope

if TYPE_CHECKING:
    from rich.table import Table

    from agentmem.manager import MemoryManager

TURN_DEPTHS: Final = (5, 10, 20, 50)
SESSION_DEPTHS: Final = (5, 10)
_ASKED: Final[Mapping[str, int]] = {"locomo": max(TURN_DEPTHS), "longmemeval": 200}
"""Hits asked for: sessions are ranked by their first hit, so more are needed than sessions are looked at."""
_SAMPLES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over ``n`` questions with its 95 % interval."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class QualityReport:
    """One data set's figures.

    Args:
        figures: Group (``all``, a category) to metric (``turn recall@10``) to figure.
        turns_per_second: Stored and searchable, ``store_many`` of whole histories.
        retrieve_ms_p50, retrieve_ms_p95: Of questions at the default depth, the first one of each history included.
        skipped: Why nothing was measured, or None.
    """

    dataset: str
    path: str
    sha256: str = ""
    known_as: str = ""
    turns: int = 0
    questions: int = 0
    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    turns_per_second: float = 0.0
    retrieve_ms_p50: float = 0.0
    retrieve_ms_p95: float = 0.0
    skipped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def table(self) -> Table:
        """The report for people."""
        from rich.table import Table

        if self.skipped:
            return Table(title=f"{self.dataset}: skipped, {self.skipped}")
        metrics = list(self.figures["all"])
        table = Table(
            title=f"{self.dataset} ({self.questions:,} questions, {self.turns:,} turns; {self.known_as})",
            caption=f"{self.turns_per_second:,.0f} turns/s stored; retrieve p50 {self.retrieve_ms_p50:.1f} ms, "
            f"p95 {self.retrieve_ms_p95:.1f} ms; sha256 {self.sha256[:12]}…",
        )
        table.add_column("", no_wrap=True)
        for group, figures in self.figures.items():
            heading = f"{group}\nn={figures[metrics[0]].n}"
            table.add_column(
                heading,
                justify="right",
                no_wrap=group == "all",
                overflow="fold",
                max_width=22 if group == "all" else 11,
            )
        for metric in metrics:
            cells = [
                _cell(figures.get(metric), with_interval=group == "all") for group, figures in self.figures.items()
            ]
            table.add_row(metric, *cells)
        return table


def run_quality(
    path: Path,
    *,
    open_memory: Callable[[], MemoryManager],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QualityReport:
    """The figures of one data set file; skipped with the reason where it is not there.

    Args:
        path: LoCoMo's or LongMemEval's JSON, ``.gz`` too.
        open_memory: Opens an empty memory; one holds all of LoCoMo, and each LongMemEval question gets its own user.
        progress: Told how many of how many histories are done.

    Raises:
        InvalidInput: the file is something else.
    """
    if not path.exists():
        return QualityReport(path.name, str(path), skipped=f"there is no file {path}")
    data = load(path)
    scored: list[tuple[str, dict[str, float]]] = []
    store_s: list[float] = []
    retrieve_s: list[float] = []
    with open_memory() as memory:
        for number, history in enumerate(data.histories):
            scored += _measured(memory, data.kind, number, history, store_s, retrieve_s)
            progress(number + 1, len(data.histories))
    return _reported(data, path, scored, store_s, retrieve_s)


def _measured(
    memory: MemoryManager,
    kind: str,
    number: int,
    history: History,
    store_s: list[float],
    retrieve_s: list[float],
) -> list[tuple[str, dict[str, float]]]:
    """The category and metrics of each question about one history."""
    scope = Scope(user=f"{kind}-{number}")
    started = time.perf_counter()
    stored = memory.store_many(history.turns, scope=scope)
    store_s.append(time.perf_counter() - started)
    places = {kept.id: place for place, kept in enumerate(stored)}
    scored = []
    for question in history.questions:
        started = time.perf_counter()
        memory.retrieve(question.text, scope=scope)
        retrieve_s.append(time.perf_counter() - started)
        ranked = [places[hit.id] for hit in memory.retrieve(question.text, scope=scope, k=_ASKED[kind])]
        metrics = turn_metrics(ranked, question.turns)
        if kind == "longmemeval":
            metrics |= session_metrics([history.sessions[place] for place in ranked], question)
        scored.append((question.category, metrics))
    return scored


def turn_metrics(ranked: Sequence[int], gold: frozenset[int]) -> dict[str, float]:
    """Recall of the gold turns at each depth, and whether all of them are there; empty without gold turns."""
    if not gold:
        return {}
    found = {depth: len(gold.intersection(ranked[:depth])) for depth in TURN_DEPTHS}
    recalls = {f"turn recall@{depth}": found[depth] / len(gold) for depth in TURN_DEPTHS}
    return recalls | {"turn all@10": float(found[10] == len(gold))}


def session_metrics(ranked: Sequence[int], question: BenchQuestion) -> dict[str, float]:
    """Any, all and NDCG over sessions in the order of their first hit."""
    order = list(dict.fromkeys(ranked))
    gold = question.sessions
    metrics: dict[str, float] = {}
    for depth in SESSION_DEPTHS:
        found = [session in gold for session in order[:depth]]
        metrics[f"session recall_any@{depth}"] = float(any(found))
        metrics[f"session recall_all@{depth}"] = float(sum(found) == len(gold))
        gain = sum(1 / math.log2(rank + 2) for rank, hit in enumerate(found) if hit)
        metrics[f"session NDCG@{depth}"] = gain / sum(1 / math.log2(r + 2) for r in range(min(depth, len(gold))))
    return metrics


def _reported(
    data: Dataset,
    path: Path,
    scored: Sequence[tuple[str, dict[str, float]]],
    store_s: Sequence[float],
    retrieve_s: Sequence[float],
) -> QualityReport:
    import numpy as np

    groups = {"all": [metrics for category, metrics in scored if category != "adversarial"]}
    for category in sorted({category for category, _ in scored}):
        groups[category] = [metrics for own, metrics in scored if own == category]
    turns = sum(len(history.turns) for history in data.histories)
    milliseconds = np.asarray(retrieve_s) * 1e3
    return QualityReport(
        dataset=data.kind,
        path=str(path),
        sha256=data.sha256,
        known_as=data.known_as,
        turns=turns,
        questions=len(scored),
        figures={group: _figures(rows) for group, rows in groups.items()},
        turns_per_second=turns / sum(store_s),
        retrieve_ms_p50=float(np.percentile(milliseconds, 50)),
        retrieve_ms_p95=float(np.percentile(milliseconds, 95)),
    )


def _figures(rows: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: _figure([row[name] for row in rows if name in row]) for name in names}


def _figure(values: Sequence[float]) -> Figure:
    import numpy as np

    sample = np.asarray(values)
    random = np.random.default_rng(20_260_101)
    means = random.choice(sample, (_SAMPLES, len(sample))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return Figure(float(sample.mean()), float(low), float(high), len(sample))


def _cell(figure: Figure | None, *, with_interval: bool) -> str:
    if figure is None:
        return ""
    return f"{figure.mean:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if with_interval else f"{figure.mean:.3f}"
