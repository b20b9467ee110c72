"""Whether "it", "she" and "there" are found: `python -m bench.followups [LoCoMo] [LongMemEval-S]`.

1. `followups.json`: 78 questions of our own that point at the conversation before them, over 85 memories about many
   things. hit@1 and hit@3 with the conversation and without; the rules were made with one part, and revised once after
   the other was asked. `self-contained` questions come with a conversation about something else: both figures must
   be the same.
2. Questions of the development data with four turns of a foreign conversation before them: recall must be the same.
   Skipped, with the reason, where the data is not at hand.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from agentmem import MemoryManager, Scope
from agentmem.bench.datasets import load
from agentmem.bench.quality import turn_metrics
from agentmem.retrieval.options import RetrievalOptions
from agentmem.retrieval.question import Question
from bench.ablation import Stored
from bench.confidence import LONGMEMEVAL
from bench.texts import LOCOMO

SET: Final = Path(__file__).with_name("followups.json")
ANA: Final = Scope(user="ana")
TURNS_BEFORE: Final = 4


def main() -> None:
    for part, figures in of_set().items():
        print(json.dumps({"bench": "followups", "part": part, **figures}))
    for path in [Path(argument) for argument in sys.argv[1:]] or [LOCOMO, LONGMEMEVAL]:
        report = foreign(path) if path.is_file() else {"skipped": f"there is no {path}"}
        print(json.dumps({"bench": "followups", **report}))


def of_set(options: RetrievalOptions | None = None) -> Mapping[str, Mapping[str, Any]]:
    """By part: how many questions, hit@1 and hit@3 alone and with the conversation before."""
    data = json.loads(SET.read_text("utf-8"))
    texts: dict[str, str] = data["memories"]
    order = random.Random(3).sample(list(texts), len(texts))
    ranks: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    with MemoryManager({"type": "sql", "url": "sqlite://"}, extractor=None, retrieval=options) as memory:
        kept = memory.store_many([{"content": texts[name], "session": name} for name in order], scope=ANA)
        names = {each.id: name for each, name in zip(kept, order, strict=True)}
        for asked in data["questions"]:
            found = [
                [names[hit.id] for hit in memory.retrieve(asked["question"], scope=ANA, k=3, conversation=before)]
                for before in ((), asked["conversation"])
            ]
            alone, told = (each.index(asked["answer"]) if asked["answer"] in each else 3 for each in found)
            ranks[asked["part"]].append((alone, told))
    return {
        part: {"questions": len(pairs)}
        | {
            f"hit@{depth} {name}": round(fmean(pair[place] < depth for pair in pairs), 3)
            for place, name in enumerate(("alone", "with conversation"))
            for depth in (1, 3)
        }
        for part, pairs in ranks.items()
    }


def foreign(path: Path) -> dict[str, Any]:
    """Recall of a data set's questions alone, and after turns of another of its histories."""
    data = load(path)
    choose = random.Random(5)
    scored: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
    with Stored(data) as stored:
        for number, history in enumerate(data.histories):
            for question in history.questions:
                if question.category == "adversarial":
                    continue
                other = data.histories[(number + choose.randrange(1, len(data.histories))) % len(data.histories)]
                first = choose.randrange(len(other.turns) - TURNS_BEFORE)
                before = [
                    {"role": turn.role, "content": turn.content} for turn in other.turns[first : first + TURNS_BEFORE]
                ]
                asked = Question(question.text, Scope(user=str(number)), k=20)
                for name, each in (("alone", asked), ("foreign", replace(asked, conversation=before))):
                    scored[name].append(turn_metrics(stored.ranked(number, each), question.turns))
    return {"data": data.kind} | {
        f"{metric} {name}": round(fmean(row[metric] for row in rows if metric in row), 4)
        for name, rows in scored.items()
        for metric in ("turn recall@5", "turn recall@10", "turn recall@20")
    }


if __name__ == "__main__":
    main()
