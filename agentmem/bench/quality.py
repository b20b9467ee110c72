"""How well memory finds what benchmarks ask for, on the path that ships: store_many, then retrieve, nothing else.

Definitions, pinned:

- **turn recall@k**: the mean over questions of the share of gold turns among the first k hits; **all@k**: the share
  of questions with every gold turn among them. LoCoMo: questions with at least one resolvable evidence turn;
  categories 1-4 in ``all``, adversarial apart.
- **session recall_any/all@k**: sessions in the order of their first hit; any / every session of
  ``answer_session_ids`` among the first k. **NDCG@k**: of that order, textbook discount ``1 / log2(rank + 1)``.
- LongMemEval: questions without an answer (``_abs``) are left out, assistant turns are indexed, one memory a question.
- **confidence AUC**: how often ``Retrieval.confidence`` is higher for a question asked of its own history than for one
  asked of another history, which holds no evidence; adversarial questions left out.
- **cuts**: what ``retrieve(min_confidence=…)`` leaves of ten hits. *precision*: the share of all hits shown that are
  gold turns; *beside*: gold turns or the turn just before or after one; *recall*: the mean share of gold turns shown.
- **evidence within tokens**: the mean share of gold turns that ``retrieve(max_tokens=…)`` gives, and that ``context()``
  cites.
- Intervals: 95 %, bootstrap over questions, 2,000 samples, fixed seed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentmem.bench import budget
from agentmem.bench.cuts import Cut, Judged, at_kept_recall, cuts, near
from agentmem.bench.datasets import BenchQuestion, Dataset, History, load
from agentmem.bench.figures import SEED, Figure, auc, figures
from agentmem.records import Retrieval, Scope

if TYPE_CHECKING:
    from rich.table import Table

    from agentmem.manager import MemoryManager

TURN_DEPTHS: Final = (5, 10, 20, 50)
SESSION_DEPTHS: Final = (5, 10)
_ASKED: Final[Mapping[str, int]] = {"locomo": max(TURN_DEPTHS), "longmemeval": 200}
"""Hits asked for: sessions are ranked by their first hit, so more are needed than sessions are looked at."""


@dataclass(frozen=True, slots=True)
class QualityReport:
    """One data set's figures.

    Args:
        figures: Group (``all``, a category) to metric (``turn recall@10``) to figure.
        confidence_auc: Of answers from a question's own history against those from another; None with one history.
        cuts: Precision and recall by least confidence.
        kept: The highest of the cuts that keeps 95 % of the recall; None where no question has gold turns.
        budgets: Evidence within tokens, by way and budget; empty unless asked for.
        turns_per_second: Stored and searchable, ``store_many`` of whole histories.
        retrieve_ms_p50, retrieve_ms_p95: Of questions at the default depth, the first one of each history included.
        configuration: What was measured.
        skipped: Why nothing was measured, or None.
    """

    dataset: str
    path: str
    sha256: str = ""
    known_as: str = ""
    turns: int = 0
    questions: int = 0
    figures: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    confidence_auc: Figure | None = None
    cuts: Sequence[Cut] = ()
    kept: Cut | None = None
    budgets: budget.Curve = field(default_factory=dict)
    turns_per_second: float = 0.0
    retrieve_ms_p50: float = 0.0
    retrieve_ms_p95: float = 0.0
    configuration: Mapping[str, Any] = field(default_factory=dict)
    definitions: str = __doc__
    seed: int = SEED
    skipped: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)

    def tables(self) -> Iterator[Table]:
        """The report for people."""
        from rich.table import Table

        if self.skipped:
            yield Table(title=f"{self.dataset}: skipped, {self.skipped}")
            return
        yield self._recall()
        if self.cuts:
            yield self._cuts()
        if self.budgets:
            table = Table(title="evidence within tokens of the prompt")
            table.add_column("")
            for tokens in budget.BUDGETS:
                table.add_column(f"{tokens:,}", justify="right", no_wrap=True)
            for way, points in self.budgets.items():
                table.add_row(f"{way}()", *(str(each) for each in points.values()))
            yield table

    def _recall(self) -> Table:
        from rich.table import Table

        metrics = list(self.figures["all"])
        table = Table(
            title=f"{self.dataset} ({self.questions:,} questions, {self.turns:,} turns; {self.known_as})",
            caption=f"{self.turns_per_second:,.0f} turns/s stored; retrieve p50 {self.retrieve_ms_p50:.1f} ms, "
            f"p95 {self.retrieve_ms_p95:.1f} ms; sha256 {self.sha256[:12]}…",
        )
        table.add_column("", no_wrap=True)
        for group, found in self.figures.items():
            table.add_column(
                f"{group}\nn={found[metrics[0]].n}",
                justify="right",
                no_wrap=group == "all",
                overflow="fold",
                max_width=22 if group == "all" else 11,
            )
        for metric in metrics:
            cells = [_cell(found.get(metric), with_interval=group == "all") for group, found in self.figures.items()]
            table.add_row(metric, *cells)
        return table

    def _cuts(self) -> Table:
        from rich.table import Table

        kept = self.kept
        table = Table(
            title="retrieve(min_confidence=…)",
            caption=f"AUC of confidence, own against another history: {self.confidence_auc or 'one history only'}"
            + (f"; 95 % of the recall: precision {kept.precision:.3f} at {kept.min_confidence:g}" if kept else ""),
        )
        for heading in ("at least", "hits", "precision", "with beside", "recall"):
            table.add_column(heading, justify="right")
        for cut in self.cuts:
            shares = (cut.precision, cut.beside, cut.recall)
            table.add_row(f"{cut.min_confidence:g}", f"{cut.hits:.1f}", *(f"{share:.3f}" for share in shares))
        return table


def run_quality(
    path: Path,
    *,
    open_memory: Callable[[], MemoryManager],
    configuration: Mapping[str, Any] | None = None,
    with_budgets: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> QualityReport:
    """The figures of one data set file; skipped with the reason where it is not there.

    Args:
        path: LoCoMo's or LongMemEval's JSON, ``.gz`` too.
        open_memory: Opens an empty memory; one holds all of LoCoMo, and each LongMemEval question gets its own user.
        configuration: What the memory is made of, for the report.
        with_budgets: Also how much evidence fits into a prompt; takes some times longer.
        progress: Told how many of how many histories are done.

    Raises:
        InvalidInput: the file is something else.
    """
    if not path.exists():
        return QualityReport(path.name, str(path), skipped=f"there is no file {path}")
    data = load(path)
    run = _Run(data, with_budgets, {"with_budgets": with_budgets, **(configuration or {})})
    with open_memory() as memory:
        for number in range(len(data.histories)):
            run.measure(memory, number)
            progress(number + 1, len(data.histories))
        run.measure_foreign(memory, 0)
        run.configuration["embedder"] = memory.stats().embedder
    return run.report(path)


class _Asked(NamedTuple):
    """A question's metrics, the hits of its answer with how many gold turns it has, and its share within budgets."""

    category: str
    metrics: Mapping[str, float]
    answer: tuple[Sequence[Judged], int]
    budgets: Mapping[str, float]


class _Run:
    """What has been measured of one data set so far."""

    def __init__(self, data: Dataset, with_budgets: bool, configuration: dict[str, Any]) -> None:
        self._data = data
        self._with_budgets = with_budgets
        self.configuration = configuration
        self._asked: list[_Asked] = []
        self._sure: dict[bool, list[float]] = {True: [], False: []}
        self._store_s: list[float] = []
        self._retrieve_s: list[float] = []

    def measure(self, memory: MemoryManager, number: int) -> None:
        """Store a history, ask its questions, and those of the one before, which it knows nothing about."""
        history, scope = self._data.histories[number], self._scope(number)
        started = time.perf_counter()
        stored = memory.store_many(history.turns, scope=scope)
        self._store_s.append(time.perf_counter() - started)
        if memory.stats().waiting:  # an embedder that is not local works behind the log
            memory.flush()
            self._store_s[-1] = time.perf_counter() - started
        if self._with_budgets:
            memory.flush()
        ids = [kept.id for kept in stored]
        for question in history.questions:
            self._asked.append(self._ask(memory, scope, history, question, ids))
        if number:
            self.measure_foreign(memory, number)

    def measure_foreign(self, memory: MemoryManager, number: int) -> None:
        """Ask the questions of the history before (the last one before the first) of one that does not answer them."""
        if len(self._data.histories) > 1:
            for question in _told(self._data.histories[number - 1]):
                answer = memory.retrieve(question.text, scope=self._scope(number))
                self._sure[False].append(answer.confidence)

    def report(self, path: Path) -> QualityReport:
        import numpy as np

        groups = {"all": [each.metrics for each in self._asked if each.category != "adversarial"]}
        for category in sorted({each.category for each in self._asked}):
            groups[category] = [each.metrics for each in self._asked if each.category == category]
        told = [each for each in self._asked if each.category != "adversarial"]
        curve = cuts(answers) if (answers := [each.answer for each in told if each.answer[1]]) else []
        turns = sum(len(history.turns) for history in self._data.histories)
        milliseconds = np.asarray(self._retrieve_s) * 1e3
        return QualityReport(
            dataset=self._data.kind,
            path=str(path),
            sha256=self._data.sha256,
            known_as=self._data.known_as,
            turns=turns,
            questions=len(self._asked),
            figures={group: figures(rows) for group, rows in groups.items()},
            confidence_auc=auc(self._sure[True], self._sure[False]) if all(self._sure.values()) else None,
            cuts=curve,
            kept=at_kept_recall(curve) if curve else None,
            budgets=budget.curve(figures([each.budgets for each in told])),
            turns_per_second=turns / sum(self._store_s),
            retrieve_ms_p50=float(np.percentile(milliseconds, 50)),
            retrieve_ms_p95=float(np.percentile(milliseconds, 95)),
            configuration=self.configuration,
        )

    def _ask(
        self, memory: MemoryManager, scope: Scope, history: History, question: BenchQuestion, ids: Sequence[str]
    ) -> _Asked:
        places = {id: place for place, id in enumerate(ids)}
        started = time.perf_counter()
        answer = memory.retrieve(question.text, scope=scope)
        self._retrieve_s.append(time.perf_counter() - started)
        is_told = question.category != "adversarial"
        if is_told:
            self._sure[True].append(answer.confidence)
        found = memory.retrieve(question.text, scope=scope, k=_ASKED[self._data.kind])
        ranked = [places[hit.id] for hit in found]
        metrics = turn_metrics(ranked, question.turns)
        if self._data.kind == "longmemeval":
            metrics |= session_metrics([history.sessions[place] for place in ranked], question)
        within: Mapping[str, float] = {}
        if self._with_budgets and is_told and question.turns:
            within = budget.shown(memory, question.text, scope, {ids[turn] for turn in question.turns})
        return _Asked(question.category, metrics, _judged(found, ranked, question, history), within)

    def _scope(self, number: int) -> Scope:
        return Scope(user=f"{self._data.kind}-{number}")


def _told(history: History) -> list[BenchQuestion]:
    """The questions that the history answers."""
    return [question for question in history.questions if question.category != "adversarial"]


def _judged(
    found: Retrieval, ranked: Sequence[int], question: BenchQuestion, history: History
) -> tuple[Sequence[Judged], int]:
    beside = near(question.turns, history.sessions)
    hits = [
        Judged(hit.confidence, place in question.turns, place in beside)
        for hit, place in zip(found, ranked, strict=True)
    ]
    return hits, len(question.turns)


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


def _cell(figure: Figure | None, *, with_interval: bool) -> str:
    if figure is None:
        return ""
    return str(figure) if with_interval else f"{figure.mean:.3f}"
