"""What compression keeps of the evidence: `python -m bench.compression [LoCoMo file]`.

Every session is compressed to a tenth and to a fifth of its tokens; LoCoMo's questions (without the adversarial ones)
say which turns were evidence. Four figures, higher is better. 0 to 1: `turns` = evidence turns that are cited; `words`
= of the evidence turns' words, those kept; `answers` = of the answers' words that the evidence holds, those kept in the
lines that cite it. `evidence_per_1k_tokens` = evidence turns that are cited, each once, for 1,000 tokens of summaries.

Beside the compressor, which is given the facts that the rules read, stand the same one without them, and the same
budget filled with random sentences (`random`), the session's first ones (`lead`) and its last ones (`truncation`, what
is left of a conversation that is cut to fit). Skipped, with the reason, where the data is not at hand.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from agentmem.bench.datasets import History, load
from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.extractors.rules import RuleExtractor
from agentmem.interfaces import CompressedLine, CompressionRequest, ExtractionRequest
from agentmem.records import Fact, Memory
from agentmem.retrieval.lexical import query_terms, split_sentences
from agentmem.testing.fakes import memory
from agentmem.tokens import EstimatedCounter
from bench.texts import LOCOMO
from bench.timing import report

Compress = Callable[[CompressionRequest], Sequence[CompressedLine]]
COUNTER = EstimatedCounter()


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else LOCOMO
    if not path.is_file():
        print(json.dumps({"bench": "compression", "skipped": f"LoCoMo is not at {path}"}))
        return
    histories = load(path).histories
    answers = [{entry["question"]: str(entry.get("answer", "")) for entry in each["qa"]} for each in _raw(path)]
    ways: dict[str, Compress] = {
        "extractive": with_facts(ExtractiveCompressor(tokens=COUNTER).compress),
        "no_facts": ExtractiveCompressor(tokens=COUNTER).compress,
        "random": in_order(lambda sentences: random.Random(0).sample(sentences, len(sentences))),
        "lead": in_order(lambda sentences: sentences),
        "truncation": in_order(lambda sentences: sentences[::-1]),
    }
    figures: dict[str, Any] = {}
    for share, (name, compress) in itertools.product((0.1, 0.2), ways.items()):
        for figure, value in kept(histories, answers, compress, share).items():
            figures[f"{name}_{share:.0%}_{figure}"] = value
    report("compression", figures)


def kept(
    histories: Sequence[History], answers: Sequence[dict[str, str]], compress: Compress, share: float
) -> dict[str, float]:
    """The four figures; the first three are means over questions and their evidence turns."""
    turns: list[float] = []
    words: list[float] = []
    answered: list[float] = []
    cited = tokens = 0
    for history, answer_of in zip(histories, answers, strict=True):
        said = [terms(turn.content) for turn in history.turns]
        texts = compressed(history, compress, share)
        left = [terms(text) if text else frozenset() for text in texts]
        asked = [question for question in history.questions if question.category != "adversarial"]
        cited += len({turn for question in asked for turn in question.turns if texts[turn]})
        tokens += COUNTER.count("\n".join(filter(None, texts)))
        for question in asked:
            turns += [float(bool(left[turn])) for turn in question.turns]
            words += [len(left[turn] & said[turn]) / len(said[turn]) for turn in question.turns if said[turn]]
            wanted = terms(answer_of[question.text]) & union(said[turn] for turn in question.turns)
            if wanted:
                answered.append(len(wanted & union(left[turn] for turn in question.turns)) / len(wanted))
    return {
        "turns": fmean(turns),
        "words": fmean(words),
        "answers": fmean(answered),
        "evidence_per_1k_tokens": 1_000 * cited / tokens,
    }


def compressed(history: History, compress: Compress, share: float) -> list[str]:
    """By turn: the text of the line that cites it, or nothing."""
    left = [""] * len(history.turns)
    numbered = list(enumerate(zip(history.turns, history.sessions, strict=True)))
    for _, group in itertools.groupby(numbered, key=lambda each: each[1][1]):
        said = [memory(turn.content, id=str(n), speaker=turn.speaker, position=n) for n, (turn, _) in group]
        tokens = COUNTER.count("\n".join(f"{each.speaker}: {each.content}" for each in said))
        for line in compress(CompressionRequest(said, int(tokens * share))):
            for id in line.derived_from:
                left[int(id)] += line.text
    return left


def with_facts(compress: Compress) -> Compress:
    """The compressor, told of the facts that the rules read."""
    rules = RuleExtractor()

    def told(request: CompressionRequest) -> Sequence[CompressedLine]:
        found = rules.extract(ExtractionRequest(request.memories))
        facts = [
            memory(
                each.value,
                kind="fact",
                derived_from=(each.derived_from,),
                fact=Fact(each.subject, each.attribute, each.value, each.polarity, span=(each.start, each.end)),
            )
            for each in found
        ]
        return compress(replace(request, facts=facts))

    return told


def in_order(arrange: Callable[[list[tuple[Memory, str]]], Sequence[tuple[Memory, str]]]) -> Compress:
    """A compressor that takes sentences as they come, skipping those that no longer fit."""

    def compress(request: CompressionRequest) -> Sequence[CompressedLine]:
        sentences = [(each, each.content[a:b]) for each in request.memories for a, b in split_sentences(each.content)]
        taken: dict[str, str] = {}
        tokens = 0
        for source, sentence in arrange(sentences):
            text = sentence if source.id in taken else f"{source.speaker}: {sentence}"
            if tokens + COUNTER.count(text) + 1 <= request.max_tokens:
                tokens += COUNTER.count(text) + 1
                taken[source.id] = f"{taken.get(source.id, '')} {text}"
        return [CompressedLine(text, (id,)) for id, text in taken.items()]

    return compress


def terms(text: str) -> frozenset[int]:
    return frozenset(query_terms(text))


def union(sets: Iterator[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*sets)


def _raw(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return records


if __name__ == "__main__":
    main()
