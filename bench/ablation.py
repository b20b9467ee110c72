"""What each signal of ranking buys: `python -m bench.ablation [LoCoMo] [LongMemEval-S]`.

Signals are switched on one after another, then each is switched off alone; figures as `agentmem bench quality` defines
them. Everything is stored once and asked through `Retriever`. Skipped, with the reason, where the data is not at hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Final

from agentmem import MemoryManager, Scope
from agentmem.bench.datasets import Dataset, load
from agentmem.bench.quality import session_metrics, turn_metrics
from agentmem.embedders.static import StaticEmbedder
from agentmem.log.sql import SQLLog
from agentmem.retrieval.options import RetrievalOptions
from agentmem.retrieval.pipeline import Retriever
from agentmem.retrieval.question import Question
from agentmem.tokens import EstimatedCounter
from bench.confidence import LONGMEMEVAL
from bench.texts import LOCOMO

SIGNALS: Final = ("neighbours", "related", "session", "dense", "speaker", "time", "statement", "author", "prior")
METRICS: Final[Mapping[str, tuple[str, ...]]] = {
    "locomo": ("turn recall@5", "turn recall@10", "turn recall@20"),
    "longmemeval": ("turn recall@10", "session recall_all@5", "session recall_all@10"),
}


def main() -> None:
    paths = [Path(argument) for argument in sys.argv[1:]] or [LOCOMO, LONGMEMEVAL]
    if missing := [str(path) for path in paths if not path.is_file()]:
        print(json.dumps({"bench": "ablation", "skipped": f"there is no {' and no '.join(missing)}"}))
        return
    for path in paths:
        data = load(path)
        with Stored(data) as stored:
            for name, options in configurations():
                print(json.dumps({"bench": "ablation", "data": data.kind, "signals": name, **stored.figures(options)}))


def configurations() -> Iterator[tuple[str, RetrievalOptions]]:
    """The words alone, then one signal more each time, then all without one."""
    everything = RetrievalOptions()
    for count in range(len(SIGNALS) + 1):
        name = f"+ {SIGNALS[count - 1]}" if count else "lexical"
        yield name, replace(everything, **dict.fromkeys(SIGNALS[count:], 0.0))
    for signal in SIGNALS:
        yield f"all but {signal}", replace(everything, **{signal: 0.0})


class Stored:
    """A data set in a log in memory; a user is a history."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._log = SQLLog("sqlite://")
        self._embedder = StaticEmbedder()
        self._retriever = self._with(RetrievalOptions())
        self._places: list[dict[str, int]] = []

    def __enter__(self) -> Stored:
        with MemoryManager(self._log, embedder=self._embedder, extractor=None) as memory:
            for number, history in enumerate(self._data.histories):
                kept = memory.store_many(history.turns, scope=Scope(user=str(number)))
                self._places.append({each.id: place for place, each in enumerate(kept)})
        return self

    def __exit__(self, *_: object) -> None:
        self._log.close()

    def figures(self, options: RetrievalOptions) -> dict[str, float]:
        """The mean of every metric over the questions that have an answer."""
        self._retriever = self._with(options)
        scored: list[dict[str, float]] = []
        for number, history in enumerate(self._data.histories):
            for question in history.questions:
                if question.category == "adversarial":
                    continue
                ranked = self.ranked(number, Question(question.text, Scope(user=str(number)), k=200))
                sessions = [history.sessions[place] for place in ranked]
                scored.append(turn_metrics(ranked, question.turns) | session_metrics(sessions, question))
        return {
            metric: round(fmean(each[metric] for each in scored if metric in each), 3)
            for metric in METRICS[self._data.kind]
        }

    def ranked(self, number: int, question: Question) -> list[int]:
        """The turns of a history that the question finds, best first."""
        return [self._places[number][hit.id] for hit in self._retriever.retrieve(question)]

    def _with(self, options: RetrievalOptions) -> Retriever:
        return Retriever(self._log, embedder=self._embedder, vectors=None, tokens=EstimatedCounter(), options=options)


if __name__ == "__main__":
    main()
