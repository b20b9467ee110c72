"""A year of a life: two moves, a new job, a separation. The right answer at each date, and in the end forgotten."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime

from agentmem import MemoryManager, Scope, Turn

ana = Scope(user="ana", agent="coach")
SAID = {
    (1, 10): "I live in Porto, and I work at Nokia.",
    (1, 11): "I'm dating Clara.",
    (3, 2): "Big news: I moved to Lisbon last week!",
    (5, 20): "I quit my job at Nokia.",
    (6, 1): "I started a new job at Spotify.",
    (8, 15): "I broke up with Clara.",
    (10, 5): "I've just moved to Vienna.",
}
QUESTIONS = ("Where do I live?", "Where do I work?", "Who am I dating?")


def day(month: int, number: int) -> datetime:
    return datetime(2025, month, number, 18, tzinfo=UTC)


with tempfile.TemporaryDirectory() as folder, MemoryManager.open(folder) as memory:
    turns = [memory.store(Turn(words, occurred_at=day(*date)), scope=ana) for date, words in SAID.items()]
    memory.flush()  # facts are read behind the log; here we want to see them at once

    def answer(question: str, *, as_of: datetime | None = None) -> str:
        return memory.retrieve(question, scope=ana, kinds={"fact"}, k=1, as_of=as_of)[0].content

    for date in ((1, 31), (4, 1), (5, 25), (7, 1), (9, 1), (12, 31)):
        print(f"{day(*date):%d %b}:", *(answer(question, as_of=day(*date)) for question in QUESTIONS))

    # What was said stays what was said; that it no longer holds, and what does, stands beside it.
    for hit in memory.retrieve("Tell me about Porto", scope=ana, k=1):
        print(f"Said: {hit.content}  {', '.join(hit.labels)}; now:", *(fact.content for fact in hit.corrections))

    # A move that was a mistake: taken back, the place before holds again. And brought back.
    memory.forget(turns[-1].id, scope=ana, mode="retire")
    print("Taken back:", answer("Where do I live?"))
    memory.restore(turns[-1].id, scope=ana)
    print("Restored:", answer("Where do I live?"))

    # At the end of the year Ana asks to be forgotten.
    receipt = memory.forget(scope=Scope(user="ana"), everything=True, verify=True, reason="asked to")
    print(f"Forgotten: {receipt.memories} memories, {receipt.status}, verified {receipt.verified}")
    print("Left:", len(memory.list(scope=ana)), "memories, and", len(memory.receipts(scope=ana)), "receipts")
