"""How honest confidence is, and the constants it should have: `python -m bench.confidence [LoCoMo] [LongMemEval-S]`.

Every question of the development data is asked of memories that hold its answer and of memories that do not: its whole
conversation and a foreign one, the session of a gold turn and a foreign session, and stretches of 1 to 60 turns with
gold, without it, and of the foreign conversation. Relevant is a gold turn or the turn just before or after it: labels
are sparse, and what completes or restates the evidence counts as none there. `cuts` says what `min_confidence` costs in
recall of gold turns and brings in precision.

Each data set and each kind of memory weighs the same. What is printed of a fit is leave-one-conversation-out
(LongMemEval: five parts): neither the conversation that a question is about nor the one it is asked of was fitted to.
`shipped` are the constants in `agentmem.retrieval.confidence`. Skipped, with the reason, where the data is not at hand.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agentmem import MemoryManager, Scope
from agentmem.bench.cuts import Cut, Judged, at_kept_recall, cuts, near
from agentmem.bench.datasets import BenchQuestion, Dataset, load
from agentmem.embedders.static import StaticEmbedder
from agentmem.log.sql import SQLLog
from agentmem.retrieval import confidence
from agentmem.retrieval.confidence import Evidence
from agentmem.retrieval.pipeline import Retriever
from agentmem.retrieval.question import Question
from agentmem.tokens import EstimatedCounter
from bench.texts import LOCOMO

LONGMEMEVAL: Final = LOCOMO.with_name("longmemeval_s_dev100.json.gz")
STRETCHES: Final = (1, 2, 3, 5, 8, 13, 20, 40, 60)
STRETCHES_ASKED: Final = {"locomo": 1, "longmemeval": 4}
"""Per question: LongMemEval has eight times fewer."""
PARTS: Final = 5
RIDGE: Final = 1e-3

Array = NDArray[np.float64]


class Memory(NamedTuple):
    """Some turns of one history, and how they were chosen: ``whole``, ``session`` or ``stretch``."""

    kind: str
    history: int
    turns: Sequence[int]


class Asked(NamedTuple):
    """One question put to one memory: the evidence of its best ten, which of them are relevant, and which are gold.

    ``wanted`` is how many gold turns there are; 0 in a foreign memory.
    """

    data: str
    kind: str
    parts: frozenset[str]
    evidence: Evidence
    relevant: NDArray[np.bool_]
    gold: NDArray[np.bool_]
    wanted: int


def main() -> None:
    paths = [Path(argument) for argument in sys.argv[1:]] or [LOCOMO, LONGMEMEVAL]
    if missing := [str(path) for path in paths if not path.is_file()]:
        print(json.dumps({"bench": "confidence", "skipped": f"there is no {' and no '.join(missing)}"}))
        return
    asked = [each for path in paths for each in ask(load(path))]
    for embedded in (True, False):
        name = "both" if embedded else "words"
        for target, rows in (("answer", answers(asked, embedded=embedded)), ("hit", hits(asked, embedded=embedded))):
            columns = {"answer": [0, 1, 2, 4], "hit": [0, 1, 2, 3, 4]}[target][: None if embedded else -1]
            fitted = {NAMES[c]: v for c, v in zip([-1, *columns], fit(rows, columns).round(2).tolist(), strict=True)}
            report = {"bench": "confidence", "of": target, "evidence": name, "fitted": fitted}
            for origin, probability in (("held out", held_out(rows, columns)), ("shipped", rows.shipped)):
                print(json.dumps({**report, origin: judged(rows, probability)}))
                if target == "hit":
                    print(json.dumps({**report, f"cuts, {origin}": cut_curves(asked, probability)}))


# --- what is asked --------------------------------------------------------------------------------


def ask(data: Dataset) -> Iterator[Asked]:
    """Every answerable question, put to memories with and without its answer."""
    choose = random.Random(1)
    log = SQLLog("sqlite://")
    embedder = StaticEmbedder()
    retriever = Retriever(log, embedder=embedder, vectors=None, tokens=EstimatedCounter())
    stored: dict[tuple[int, int, int], tuple[Scope, dict[str, int]]] = {}
    with MemoryManager(log, embedder=embedder) as memory:
        for number, history in enumerate(data.histories):
            foreign = (number + 1) % len(data.histories)
            for question in history.questions:
                if question.category == "adversarial" or not question.turns:
                    continue
                for place in memories(data, number, foreign, question, choose):
                    turns = data.histories[place.history].turns
                    key = (place.history, place.turns[0], len(place.turns))
                    if key not in stored:
                        scope = Scope(user="-".join(map(str, key)))
                        kept = memory.store_many([turns[turn] for turn in place.turns], scope=scope)
                        stored[key] = scope, {each.id: turn for each, turn in zip(kept, place.turns, strict=True)}
                    scope, turn_of = stored[key]
                    ids, evidence = retriever.evidence(Question(question.text, scope))
                    gold = question.turns if place.history == number else frozenset()
                    around = near(gold, history.sessions)
                    flags = (np.array([turn_of[each] in wanted for each in ids], np.bool_) for wanted in (around, gold))
                    parts = frozenset(part(data, history) for history in (number, place.history))
                    yield Asked(data.kind, place.kind, parts, evidence, *flags, len(gold))
                if len(stored) > 500:
                    retriever.drop_caches()
    log.close()


def memories(data: Dataset, own: int, foreign: int, question: BenchQuestion, choose: random.Random) -> Iterator[Memory]:
    """The memories that a question about history ``own`` is put to."""
    gold = sorted(question.turns)
    for history in (own, foreign):
        sessions = data.histories[history].sessions
        yield Memory("whole", history, range(len(sessions)))
        session = sessions[choose.choice(gold)] if history == own else choose.choice(sessions)
        first = sessions.index(session)
        yield Memory("session", history, range(first, first + sessions.count(session)))
    for _ in range(STRETCHES_ASKED[data.kind]):
        size = choose.choice(STRETCHES)
        around = choose.choice(gold) - choose.randrange(size)
        yield Memory("stretch", own, stretch(len(data.histories[own].turns), around, size))
        for history in (own, foreign):
            count = len(data.histories[history].turns)
            elsewhere = stretch(count, choose.randrange(count), size)
            if history != own or question.turns.isdisjoint(elsewhere):
                yield Memory("stretch", history, elsewhere)


def stretch(count: int, first: int, size: int) -> range:
    first = max(0, min(first, count - size))
    return range(first, min(first + size, count))


def part(data: Dataset, history: int) -> str:
    """What is left out together: a LoCoMo conversation, a fifth of LongMemEval."""
    return f"{data.kind} {history if data.kind == 'locomo' else history % PARTS}"


# --- fitting and judging --------------------------------------------------------------------------

NAMES: Final = ("tenfold", "coverage", "fit", "lead", "cosine", "constant")


class Rows(NamedTuple):
    """Samples: evidence in columns (``NAMES``), truth, weight, what they belong to, and the shipped probability."""

    x: Array
    y: Array
    weight: Array
    data: NDArray[np.str_]
    kind: NDArray[np.str_]
    parts: Sequence[frozenset[str]]
    shipped: Array


def answers(asked: Sequence[Asked], *, embedded: bool) -> Rows:
    """One sample a question: is any of the best ten relevant?"""
    found = [each for each in asked if len(each.relevant)]
    evidence = [seen(each.evidence, embedded=embedded) for each in found]
    return rows(
        found,
        np.concatenate([columns(each.strongest()) for each in evidence]),
        np.array([each.relevant.any() for each in found]),
        np.array([confidence.of_answer(each) for each in evidence]),
        [1] * len(found),
    )


def hits(asked: Sequence[Asked], *, embedded: bool) -> Rows:
    """One sample a hit: is it relevant?"""
    found = [each for each in asked if len(each.relevant)]
    evidence = [seen(each.evidence, embedded=embedded) for each in found]
    return rows(
        found,
        np.concatenate([columns(each) for each in evidence]),
        np.concatenate([each.relevant for each in found]),
        np.concatenate([confidence.of_hits(each) for each in evidence]),
        [len(each.relevant) for each in found],
    )


def seen(evidence: Evidence, *, embedded: bool) -> Evidence:
    return evidence if embedded else evidence._replace(cosine=None)


def columns(evidence: Evidence) -> Array:
    count = np.full(len(evidence.fit), np.log10(max(evidence.size, 1)))
    cosine = np.zeros(len(evidence.fit)) if evidence.cosine is None else evidence.cosine
    return np.stack([count, evidence.coverage, evidence.fit, evidence.lead, cosine], axis=1).astype(float)


def rows(found: Sequence[Asked], x: Array, y: Any, shipped: Any, repeats: Sequence[int]) -> Rows:
    data = np.repeat([each.data for each in found], repeats)
    kind = np.repeat([each.kind for each in found], repeats)
    weight = np.zeros(len(y))
    for group in itertools.product(set(data), set(kind)):
        here = (data == group[0]) & (kind == group[1])
        weight[here] = 1 / max(here.sum(), 1)
    parts = [each.parts for each, n in zip(found, repeats, strict=True) for _ in range(n)]
    return Rows(x, np.asarray(y, float), weight / weight.sum(), data, kind, parts, np.asarray(shipped, float))


def fit(rows: Rows, columns: Sequence[int], among: Any = slice(None)) -> Array:
    """Weights of a logistic regression with a little ridge, by Newton's method; the constant comes first."""
    x, y, weight = rows.x[among][:, columns], rows.y[among], rows.weight[among]
    x, weight = np.column_stack([np.ones(len(x)), x]), weight / weight.sum()
    penalty = RIDGE * np.r_[0, np.ones(len(columns))]
    model = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ model))
        slope = x.T @ (weight * (p - y)) + penalty * model
        model -= np.linalg.solve((x.T * (weight * p * (1 - p))) @ x + np.diag(penalty + 1e-12), slope)
    return model


def held_out(rows: Rows, columns: Sequence[int]) -> Array:
    """The probability of every sample, from a fit that saw nothing of its conversations."""
    probability = np.zeros(len(rows.y))
    for parts in set(rows.parts):
        tested = np.array([each == parts for each in rows.parts])
        model = fit(rows, columns, np.array([each.isdisjoint(parts) for each in rows.parts]))
        probability[tested] = 1 / (1 + np.exp(-(model[0] + rows.x[tested][:, columns] @ model[1:])))
    return probability


def judged(rows: Rows, probability: Array) -> Mapping[str, Any]:
    """Area under the ROC curve, Brier score, and in every tenth of probability what was said and what was true."""
    found: dict[str, Any] = {}
    for group in itertools.product(sorted(set(rows.data)), sorted(set(rows.kind))):
        here = (rows.data == group[0]) & (rows.kind == group[1])
        p, y = probability[here], rows.y[here]
        figures = {"auc": auc(p, y), "brier": ((p - y) ** 2).mean(), "relevant": y.mean()}
        found[" ".join(group)] = {name: round(float(value), 3) for name, value in figures.items()}
    tenths = np.minimum((probability * 10).astype(int), 9)
    found["said, true, n"] = [
        [
            *(round(float(np.average(v[here], weights=rows.weight[here])), 2) for v in (probability, rows.y)),
            int(here.sum()),
        ]
        for tenth in range(10)
        if (here := tenths == tenth).any()
    ]
    return found


def cut_curves(asked: Sequence[Asked], probability: Array) -> Mapping[str, Any]:
    """Precision and recall by least confidence, of ten hits from a question's whole conversation."""
    found = [each for each in asked if len(each.relevant)]
    starts = np.cumsum([0, *(len(each.relevant) for each in found)])
    curves: dict[str, Any] = {}
    for data in sorted({each.data for each in found}):
        answers = [
            ([Judged(*hit) for hit in zip(probability[start:], each.gold, each.relevant, strict=False)], each.wanted)
            for start, each in zip(starts, found, strict=False)
            if (each.data, each.kind) == (data, "whole") and each.wanted
        ]
        curve = cuts(answers, at=np.arange(0, 0.81, 0.01).round(2).tolist())
        chosen = [cut for cut in curve if round(cut.min_confidence * 100) in (0, 5, 10, 15, 20, 30, 40, 50, 60)]
        curves[data] = {
            f"at {share:.0%} of the recall": shown(at_kept_recall(curve, share)) for share in (0.99, 0.95, 0.9, 0.8)
        } | {"curve": [shown(cut) for cut in chosen]}
    return curves


def shown(cut: Cut) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in asdict(cut).items()}


def auc(p: Array, y: Array) -> float:
    """How often what is relevant gets more than what is not; ties count half."""
    order = np.sort(p)
    rank = (np.searchsorted(order, p, "left") + np.searchsorted(order, p, "right")) / 2
    positive = y.sum()
    return float((rank[y == 1].sum() - positive * positive / 2) / max(positive * (len(y) - positive), 1))


if __name__ == "__main__":
    main()
