"""What a wrapped client adds to a call, at 20k memories: `python -m bench.wrap`.

Before the first byte: recall and the user's turn, against the bare call, `retrieve` and a bare SQLite commit in the
same rounds. Then for each piece of a streamed answer. The model is a transport that answers at once.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from openai import OpenAI

from agentmem import MemoryManager, Scope
from agentmem.clients import WrapOptions, memory_cost
from bench.texts import questions, turns
from bench.timing import milliseconds, p50, p95, report

ANA = Scope(user="ana", agent="coach", session="today")
ROUNDS = 10
PER_ROUND = 15
RESENT = 20
"""Messages of the conversation so far that go with each call."""
PIECES = 1_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--memories", type=int, default=20_000, help="in the scope that is asked")
    count = options.parse_args().memories
    patient = WrapOptions(deadline_s=10, write_deadline_s=10)
    with tempfile.TemporaryDirectory(dir=".") as folder, MemoryManager.open(folder, wrapping=patient) as memory:
        memory.store_many(turns(count), scope=Scope(user="ana", agent="coach"))
        memory.flush()
        bare = OpenAI(api_key="none", base_url="http://model/v1", http_client=_model(pieces=3))
        wrapped = memory.wrap(bare, scope=ANA)
        commit = _bare_commit(Path(folder) / "bare.db")
        asked = questions(2 * ROUNDS * PER_ROUND)
        history: list[dict[str, Any]] = []
        for question in asked[-PER_ROUND:]:
            _first_byte(wrapped, history, question)
            memory.flush()
            memory.retrieve(question, scope=ANA)
        took: dict[str, list[float]] = {"bare": [], "wrapped": [], "retrieve": [], "commit": []}
        # In turns, round by round, so that all meet the same machine.
        for number in range(ROUNDS):
            for question in asked[number * PER_ROUND : (number + 1) * PER_ROUND]:
                took["bare"].append(_first_byte(bare, list(history), question))
                took["wrapped"].append(_first_byte(wrapped, history, question))
                memory.flush()  # a model takes longer to answer than what is behind the log takes to follow
                took["retrieve"].append(milliseconds(lambda q=question: memory.retrieve(q, scope=ANA)))
                took["commit"].append(milliseconds(commit))
        cost = memory_cost(wrapped)
        piece_ms = _piece_ms(memory)
    added = p50(took["wrapped"]) - p50(took["bare"])
    figures = {
        "memories": count,
        "bare_p50_ms": p50(took["bare"]),
        "wrapped_p50_ms": p50(took["wrapped"]),
        "wrapped_p95_ms": p95(took["wrapped"]),
        "retrieve_p50_ms": p50(took["retrieve"]),
        "commit_p50_ms": p50(took["commit"]),
        "added_p50_ms": added,
        "added_over_reads_and_writes_ms": added - p50(took["retrieve"]) - 2 * p50(took["commit"]),
        "added_per_piece_ms": piece_ms,
        "tokens": cost.tokens,
        "stable_tokens": cost.stable_tokens,
    }
    report("wrap", figures, {"added_over_reads_and_writes_ms": ("<=", 3.0), "added_per_piece_ms": ("<=", 1.0)})


def _first_byte(client: OpenAI, history: list[dict[str, Any]], question: str) -> float:
    """Milliseconds to the first piece; the history then holds question and answer."""
    history.append({"role": "user", "content": question})
    start = time.perf_counter()
    stream = client.chat.completions.create(model="m", messages=history[-RESENT:], stream=True)  # type: ignore[arg-type]
    pieces = [next(stream).choices[0].delta.content]
    took = (time.perf_counter() - start) * 1000
    pieces += [piece.choices[0].delta.content for piece in stream]
    history.append({"role": "assistant", "content": "".join(filter(None, pieces))})
    return took


def _piece_ms(memory: MemoryManager) -> float:
    """What each piece of a long answer takes longer."""
    bare = OpenAI(api_key="none", base_url="http://model/v1", http_client=_model(pieces=PIECES))
    wrapped = memory.wrap(bare, scope=Scope(user="ben", session="today"))

    def drained(client: OpenAI) -> float:
        stream = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Go on."}], stream=True
        )
        next(stream)
        took = milliseconds(lambda: [None for _, piece in zip(range(PIECES - 10), stream, strict=False) if piece])
        stream.close()
        return took

    pairs = [(drained(bare), drained(wrapped)) for _ in range(5)]
    return max((p50([each for _, each in pairs]) - p50([each for each, _ in pairs])) / PIECES, 0.0)


def _model(pieces: int) -> httpx.Client:
    """A model that answers every question with so many words, at once."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=_events(pieces))

    return httpx.Client(transport=httpx.MockTransport(answer))


def _events(pieces: int) -> Iterator[bytes]:
    for number in range(pieces + 1):
        choice = {"index": 0, "delta": {"content": f"word{number} "}, "finish_reason": None}
        if number == pieces:
            choice |= {"delta": {}, "finish_reason": "stop"}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice]}
        yield f"data: {json.dumps(chunk)}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _bare_commit(file: Path) -> Callable[[], None]:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE turn (id INTEGER PRIMARY KEY, content TEXT)")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO turn (content) VALUES ('What did I say about the plants on the balcony?')")
        connection.execute("COMMIT")

    return commit


if __name__ == "__main__":
    main()
