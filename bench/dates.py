"""How fast dates in words are read, turn by turn, on one core: `python -m bench.dates`.

With LoCoMo at hand its turns are read, else made ones.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from statistics import fmean

from agentmem.retrieval.dates import time_spans
from bench.texts import locomo_turns, turns
from bench.timing import report

SAID = datetime(2024, 1, 1, tzinfo=UTC)
ROUNDS = 5


def main() -> None:
    texts = [turn.content for turn in (locomo_turns() or turns(5_000))]
    rates = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = sum(len(time_spans(text, said_at=SAID)) for text in texts)
        rates.append(len(texts) / (time.perf_counter() - start))
    figures = {"turns": len(texts), "characters": fmean(map(len, texts)), "spans": found, "turns_per_s": max(rates)}
    report("dates", figures, {"turns_per_s": (">=", 20_000)})


if __name__ == "__main__":
    main()
