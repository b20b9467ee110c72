"""What becomes of facts that change: `python -m bench.updates`. Chains of updates in seen, held out and fresh words."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agentmem import MemoryManager
from agentmem.bench.update_chains import WORDINGS, chains
from agentmem.bench.updates import follow
from bench.timing import report

CHAINS = 400
BOUNDS = {"nothing_superseded": (">=", 1.0), "right_first": (">=", 0.98), "right_as_of_then": (">=", 0.98)}


def main() -> None:
    for words in WORDINGS:
        with tempfile.TemporaryDirectory() as folder, MemoryManager.open(Path(folder), extractor="rules") as memory:
            outcomes = follow(memory, chains(CHAINS, words=words))
        figures = {name.replace(",", "").replace(" ", "_"): share for name, share in outcomes.shares().items()}
        counted = {"chains": CHAINS, "questions_of_chains_read": outcomes.asked["right first"]}
        report(f"updates, words {words}", counted | figures, BOUNDS)


if __name__ == "__main__":
    main()
