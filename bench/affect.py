"""How well affect is read, and what it costs: `python -m bench.affect [LoCoMo]`.

The sentences of `tests/unit/data` were labelled by hand; the frozen ones before the lexicon was written. A sentence is
neutral where there is no affect or its valence is within 0.1 of 0. The cost is the mean over the turns of LoCoMo's
development conversations; where they are not at hand, over the labelled sentences.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from agentmem import Affect
from agentmem.lifecycle.affect import affect_of
from agentmem.lifecycle.importance import importance_of
from bench.texts import LOCOMO, locomo_turns

SENTENCES: Final = Path(__file__).parents[1] / "tests/unit/data"
SIGNS: Final = ("positive", "negative", "neutral")


def main() -> None:
    print("| sentences | | n | precision | recall | F1 |\n|---|---|---|---|---|---|")
    texts = []
    for name in ("frozen", "dev"):
        rows = read(SENTENCES / f"affect_{name}.tsv")
        texts += [row["sentence"] for row in rows]
        table(name, rows)
    turns = [turn.content for turn in locomo_turns(Path(sys.argv[1]) if len(sys.argv) > 1 else LOCOMO)] or texts
    silent = [turn for turn in turns if affect_of(turn) is None]
    words = sum(len(turn.split()) for turn in turns) / len(turns)
    print(f"\n| µs a turn ({len(turns):,} turns of {words:.0f} words) | |\n|---|---|")
    print(f"| affect | {cost(affect_of, turns):.1f} |")
    print(f"| affect, the {len(silent) / len(turns):.0%} of turns that carry none | {cost(affect_of, silent):.1f} |")
    print(f"| importance | {cost(importance, turns):.1f} |")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def table(name: str, rows: Sequence[dict[str, str]]) -> None:
    pairs = [(row["sign"], sign_of(affect_of(row["sentence"]))) for row in rows]
    scores = []
    for sign in SIGNS:
        right = sum(gold == found == sign for gold, found in pairs)
        found, gold = sum(found == sign for _, found in pairs), sum(gold == sign for gold, _ in pairs)
        scores.append(2 * right / (found + gold))
        print(f"| {name} | {sign} | {gold} | {right / found:.2f} | {right / gold:.2f} | {scores[-1]:.2f} |")
    print(f"| {name} | macro | {len(rows)} | | | **{sum(scores) / 3:.3f}** |")


def sign_of(affect: Affect | None) -> str:
    if affect is None or abs(affect.valence) < 0.1:
        return "neutral"
    return "positive" if affect.valence > 0 else "negative"


def importance(text: str) -> float:
    return importance_of(text, kind="turn", role="user", affect=None)


def cost(function: Callable[[str], object], texts: Sequence[str]) -> float:
    """Microseconds a text, the fastest of seven rounds."""
    fastest = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        for text in texts:
            function(text)
        fastest = min(fastest, time.perf_counter() - start)
    return fastest / len(texts) * 1e6


if __name__ == "__main__":
    main()
