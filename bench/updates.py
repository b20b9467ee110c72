"""What becomes of facts that change: `python -m bench.updates`. Chains of updates, with words seen and held out."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agentmem import MemoryManager
from agentmem.bench.update_chains import chains
from agentmem.bench.updates import follow
from bench.timing import report

CHAINS = 400
BOUNDS = {"nothing_superseded": (">=", 1.0), "right_first": (">=", 0.98), "right_as_of_then": (">=", 0.98)}


def main() -> None:
    for held_out in (False, True):
        with tempfile.TemporaryDirectory() as folder, MemoryManager.open(Path(folder), extractor="rules") as memory:
            outcomes = follow(memory, chains(CHAINS, held_out=held_out))
        figures = {name.replace(",", "").replace(" ", "_"): share for name, share in outcomes.shares().items()}
        counted = {"chains": CHAINS, "questions_of_chains_read": outcomes.asked["right first"]}
        report(f"updates, words {'held out' if held_out else 'seen'}", counted | figures, BOUNDS)


if __name__ == "__main__":
    main()
