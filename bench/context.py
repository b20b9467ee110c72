"""What a prompt holds of the evidence, and what it costs: `python -m bench.context [LoCoMo or LongMemEval file …]`.

1. `recall`: of the turns that a question's gold names, those that `context()` puts into the prompt, at 250 to 4,000
   tokens; `with_facts` counts a turn too of which the prompt holds a fact. Beside it what a list of the best hits holds
   in as many tokens: of the words alone (`list`), and as a block with dates, speakers and citations (`rendered`).
2. `gold_stands`: where the evidence stands among the memories of 2,000 tokens, 0 the first and 1 the last, for each
   order; `best_stands` the same of the best hit.
3. `prefix_stability`: the share of the bytes of identity and rules that are the same prefix as one turn before, while
   a conversation goes on and its facts become known.
4. `build_ms` against `retrieve_ms` at 20,000 memories with 60 facts and a rule.

The first three are skipped, with the reason, where the data is not at hand.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from agentmem import Context, Fact, MemoryManager, Scope, Turn
from agentmem.bench.datasets import BenchQuestion, History, load
from agentmem.context.builder import ContextOptions
from agentmem.context.rendering import Order, parse_block, render_hits
from agentmem.tokens import default_counter
from bench.texts import LOCOMO, questions, turns
from bench.timing import milliseconds, p50, report

ANA = Scope(user="ana", agent="coach")
BUDGETS = (250, 500, 1000, 2000, 4000)
ASKED = 300


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", nargs="*", type=Path, default=[LOCOMO])
    options.add_argument("--histories", type=int, help="of each file, at most")
    options.add_argument("--only", choices=["evidence", "prefix", "latency"])
    given = options.parse_args()
    for path in given.files if given.only != "latency" else ():
        if not path.is_file():
            print(json.dumps({"bench": "context", "skipped": f"there is no data at {path}"}))
            continue
        histories = load(path).histories[: given.histories]
        if given.only != "prefix":
            report(f"context: evidence of {path.stem}", evidence(histories))
        if given.only != "evidence":
            bounds = {"prefix_stability": (">=", 0.95)}
            report(f"context: prefix on {path.stem}", {"prefix_stability": prefix_stability(histories)}, bounds)
    if given.only in (None, "latency"):
        figures = latency()
        report("context: latency", figures, {"build_ms": ("<=", figures["retrieve_ms"] + 1.5)})


# --- evidence -------------------------------------------------------------------------------------


def evidence(histories: Sequence[History]) -> dict[str, Any]:
    """Recall at each budget, and where the evidence stands in each order."""
    figures: defaultdict[str, list[float]] = defaultdict(list)
    for history in histories:
        with remembered(history) as (memory, ids):
            sources = _sources(memory)
            for question in history.questions:
                if question.category == "adversarial" or not question.turns:
                    continue
                gold = {ids[turn] for turn in question.turns}
                for budget in BUDGETS:
                    for name, found in _held(memory, question, budget, sources).items():
                        figures[f"{name}_{budget}"].append(len(gold & found) / len(gold))
                for name, place in _places(memory, question, gold):
                    figures[name].append(place)
    return {"questions": len(figures["context_250"])} | {
        name: fmean(values) for name, values in sorted(figures.items())
    }


def _held(
    memory: MemoryManager, question: BenchQuestion, budget: int, sources: dict[str, Collection[str]]
) -> dict[str, set[str]]:
    context = memory.context(question.text, scope=ANA, max_tokens=budget)
    hits = memory.retrieve(question.text, scope=ANA, max_tokens=budget).hits
    cited = set(context.citations.values())
    return {
        "context": cited,
        "with_facts": cited.union(*(sources.get(id, ()) for id in cited)),
        "list": {hit.id for hit in hits},
        "rendered": set(render_hits(hits, max_tokens=budget, counter=default_counter()).citations),
    }


def _places(memory: MemoryManager, question: BenchQuestion, gold: set[str]) -> Iterator[tuple[str, float]]:
    best = memory.retrieve(question.text, scope=ANA, k=1).hits[0].id
    for order in get_args(Order):
        with ordered(memory, order):
            context = memory.context(question.text, scope=ANA, max_tokens=2000)
        shown = [context.citations[line.citation] for line in parse_block(str(context)) if line.block == "memories"]
        for place, id in enumerate(shown):
            if id in gold:
                yield f"gold_stands_{order}", place / max(len(shown) - 1, 1)
            if id == best:
                yield f"best_stands_{order}", place / max(len(shown) - 1, 1)


@contextmanager
def ordered(memory: MemoryManager, order: Order) -> Iterator[None]:
    """The memory with another order of its contexts, while the block runs."""
    contexts = memory._contexts
    before, contexts.options = contexts.options, replace(contexts.options, order=order)
    try:
        yield
    finally:
        contexts.options = before


def _sources(memory: MemoryManager) -> dict[str, Collection[str]]:
    facts = memory.list(scope=ANA, kinds={"fact"}, limit=10_000)
    return {fact.id: fact.derived_from for fact in facts}


# --- prefix ---------------------------------------------------------------------------------------


def prefix_stability(histories: Sequence[History], *, turns_each: int = 400) -> float:
    """Mean share of rules and identity, in bytes, that is the same prefix as one turn before."""
    shares: list[float] = []
    for history in random.Random(1).sample(list(histories), min(len(histories), 3)):
        with memory_in_folder() as memory:
            memory.store("Never give legal advice.", kind="rule", role="system", scope=Scope(agent="coach"))
            before = b""
            for turn in history.turns[:turns_each]:
                scope = replace(ANA, session=turn.session)
                memory.store(turn, scope=scope)
                memory.flush()
                now = who_is_who(memory.context(turn.content, scope=scope))
                if before:
                    shares.append(_same(before, now) / len(before))
                before = now
    return fmean(shares)


def _same(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


def who_is_who(context: Context) -> bytes:
    """The bytes of rules and identity, with what stands before them."""
    return context.stable.partition("<handover>")[0].encode("utf-8")


# --- latency --------------------------------------------------------------------------------------


def latency(memories: int = 20_000, facts: int = 60) -> dict[str, Any]:
    """Medians of calls that take turns, in one scope."""
    with memory_in_folder(extractor=None) as memory:
        memory.store_many(turns(memories), scope=ANA)
        known = [Fact("user", "likes", f"{choice} number {number}") for number, choice in enumerate(_things(facts))]
        memory.store_many([Turn.of_fact(fact) for fact in known], scope=ANA)
        memory.store("Never give legal advice.", kind="rule", role="system", scope=ANA)
        memory.flush()
        asked = questions(ASKED)
        scope = replace(ANA, session="now")
        memory.end_session(scope=replace(ANA, session="session-999"))
        for question in asked[:20]:
            memory.retrieve(question, scope=scope), memory.context(question, scope=scope)
        retrieving: list[float] = []
        building: list[float] = []
        for question in asked:
            retrieving.append(milliseconds(lambda question=question: memory.retrieve(question, scope=scope)))
            building.append(milliseconds(lambda question=question: memory.context(question, scope=scope)))
        spent = memory.context(asked[0], scope=scope).spent
    figures = {"memories": memories, "retrieve_ms": p50(retrieving), "build_ms": p50(building)}
    return figures | {"added_ms": figures["build_ms"] - figures["retrieve_ms"], "spent": dict(spent)}


def _things(count: int) -> Iterator[str]:
    choose = random.Random(7)
    for _ in range(count):
        yield choose.choice(["bicycle", "piano", "lasagna", "tent", "camera", "bookshelf"])


# --- memories -------------------------------------------------------------------------------------


@contextmanager
def remembered(history: History) -> Iterator[tuple[MemoryManager, list[str]]]:
    """A memory of the whole history with its facts, and the id of each turn."""
    with memory_in_folder() as memory:
        stored = memory.store_many(history.turns, scope=ANA)
        memory.flush()
        yield memory, [each.id for each in stored]


@contextmanager
def memory_in_folder(**options: Any) -> Iterator[MemoryManager]:
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        MemoryManager.open(folder, context=ContextOptions(), **options) as memory,
    ):
        yield memory


if __name__ == "__main__":
    main()
