"""One line of JSON, and the questions whose answer is not among the first five."""

from __future__ import annotations

import json
import sys

from agentmem import MemoryManager
from agentmem.log.sql import SQLLog
from bench import documents as bench
from bench.timing import report

manual = bench.manual()
questions = bench.asked(manual)
with MemoryManager(SQLLog("sqlite://"), embedder="static", extractor=None) as memory:
    chunks = memory.store_many(manual, scope=bench.MANUAL)
    pages = sum(len(document.content) for document in manual) // bench.CHARACTERS_OF_A_PAGE
    found = bench.figures(memory, questions)
    report("documents", {"pages": pages, "questions": len(questions), **bench.sizes(chunks), **found})
    if "--missed" in sys.argv:
        print(json.dumps(bench.missed(memory, questions), indent=2))
