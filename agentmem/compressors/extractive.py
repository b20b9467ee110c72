"""Fewer tokens by choosing sentences: no model, no network, nothing that was not said."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agentmem.interfaces import CompressedLine, CompressionRequest, Compressor, TokenCounter
from agentmem.records import Memory
from agentmem.retrieval.lexical import query_terms, split_sentences
from agentmem.tokens import default_counter


class ExtractiveCompressor(Compressor):
    """The sentences that tell most, verbatim, one line per memory with its speaker, in the order given.

    A sentence counts for rare words, names, times and numbers, commitments, first-person statements, answers to
    questions and facts that were read from it; against it counts being a greeting, praise or a question, speaking about
    the listener, and repeating what was chosen already. The user's words count double the assistant's. Deterministic.

    Args:
        tokens: What the budget is counted with; unset = ``default_counter()``.
    """

    name = "extractive"

    def __init__(self, *, tokens: TokenCounter | None = None) -> None:
        self._counter = tokens or default_counter()

    def compress(self, request: CompressionRequest) -> Sequence[CompressedLine]:
        memories = request.memories
        sentences = list(_sentences(memories))
        chosen = self._chosen(memories, sentences, request.facts, request.max_tokens)
        while chosen and self._counter.count(_joined(_lines(memories, chosen))) > request.max_tokens:
            # Line by line it was within the budget, together it may be a token or two above.
            chosen.pop()
        return _lines(memories, chosen)

    def _chosen(
        self, memories: Sequence[Memory], sentences: Sequence[_Sentence], facts: Sequence[Memory], max_tokens: int
    ) -> list[_Sentence]:
        """The sentences that fit, best first: by worth per token, less for what the chosen ones told already."""
        count = self._counter.count
        tokens = [count(sentence.text) for sentence in sentences]
        worths = _worths(memories, sentences, facts)
        told: set[int] = set()

        def gain(place: int) -> float:
            terms = sentences[place].terms
            repeated = len(terms & told) / len(terms) if terms else 1.0
            # Twice the length is asked about more often, but not twice as often.
            return worths[place] * (1 - _REPEATED * repeated) / float((tokens[place] + 3) ** 0.7)

        chosen: list[_Sentence] = []
        begun: set[int] = set()
        left = max_tokens
        waiting = [(-gain(place), place) for place in range(len(sentences))]
        heapq.heapify(waiting)
        while waiting:
            _, place = heapq.heappop(waiting)
            gained = -gain(place)
            if waiting and gained > waiting[0][0]:
                # Gains only ever sink: what is still the best when looked at again is the best.
                heapq.heappush(waiting, (gained, place))
                continue
            sentence = sentences[place]
            memory = memories[sentence.memory]
            cost = tokens[place] + (0 if sentence.memory in begun else count(f"{_who(memory)}: ") + 1)
            if cost <= left:
                left -= cost
                chosen.append(sentence)
                begun.add(sentence.memory)
                told |= sentence.terms
        return chosen


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of ``memories[memory]``, and where in it it begins."""

    memory: int
    start: int
    text: str
    terms: frozenset[int]


_LONGEST_CHARACTERS: Final = 400
_PIECE: Final = re.compile(rf"\S.{{0,{_LONGEST_CHARACTERS - 2}}}(?!\S)|\S{{{_LONGEST_CHARACTERS}}}|\S+", re.DOTALL)


def _sentences(memories: Sequence[Memory]) -> Iterator[_Sentence]:
    for place, memory in enumerate(memories):
        for start, end in split_sentences(memory.content):
            # What was spoken without a stop is cut at words, or one breath would cost the whole budget.
            for piece in _PIECE.finditer(memory.content, start, end):
                yield _Sentence(place, piece.start(), piece[0], frozenset(query_terms(piece[0])))


def _lines(memories: Sequence[Memory], chosen: Collection[_Sentence]) -> list[CompressedLine]:
    told: dict[int, list[str]] = {}
    for sentence in sorted(chosen, key=lambda each: (each.memory, each.start)):
        told.setdefault(sentence.memory, []).append(sentence.text)
    return [
        CompressedLine(f"{_who(memories[place])}: {' '.join(texts)}", (memories[place].id,))
        for place, texts in told.items()
    ]


def _who(memory: Memory) -> str:
    return memory.speaker or memory.role


def _joined(lines: Sequence[CompressedLine]) -> str:
    return "\n".join(line.text for line in lines)


# --- what a sentence is worth ---------------------------------------------------------------------

_TIME: Final = (
    r"(?i)\b(?:january|february|march|april|may|june|july|august|september|october|november|december|today|tonight"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|yesterday|tomorrow|ago|since|recently|soon|birthday|anniversary"
    r"|(?:last|next|this) (?:week|weekend|month|year|night|spring|summer|autumn|fall|winter|few)"
    r"|(?:hour|day|week|month|year)s?)\b"
)
_NUMBER: Final = r"(?i)\d|\b(?:two|three|four|five|six|seven|eight|nine|ten|twice|dozen|hundred|thousand|million)\b"
_NAME: Final = r"(?<=[a-z,;] )[A-Z][\w'’-]+|\"[^\"]+\"|“[^”]+”"
_ONESELF: Final = r"(?i)\b(?:I|I['’](?:m|ve|d|ll)|my|mine|we|we['’](?:ve|re)|our|us)\b"
_COMMITMENT: Final = r"(?i)\b(?:promised?|remind|deadline|appointment|agreed|decided|allerg\w+|never|always|must)\b"
_QUESTION: Final = r"[?？][\"'”’)]*$"
_LISTENER: Final = r"(?i)\b(?:you|you['’](?:re|ve|ll|d)|yours?)\b"
_COURTESY: Final = (
    r"(?i)^\W*(?:hey|hi|hello|wow|thanks?|bye|good to|great to|sounds|that['’]s|that sounds|glad|congrat\w*|awesome"
    r"|cool|nice|yeah|yep|totally|absolutely|definitely|sure|no problem|take care|talk|see you|you['’]\w+|aw+|oh|haha"
    r"|ok(?:ay)?|of course|certainly|i hope this helps|let me know)\b"
)
_REMARK: Final = r"^\["
_WEIGHTS: Final = {
    _TIME: 0.35,
    _NUMBER: 0.15,
    _NAME: 0.35,
    _ONESELF: 0.15,
    _COMMITMENT: 0.3,
    _QUESTION: -0.7,
    _LISTENER: -0.35,
    _COURTESY: -1.2,
    _REMARK: -0.5,
}
"""Each match counts, two at most. Round numbers near a Poisson fit on LoCoMo's development conversations."""
_SIGNS: Final = tuple((re.compile(pattern), weight) for pattern, weight in _WEIGHTS.items())

_RARE_WORDS: Final = 0.25
_RARE_WORDS_CAP: Final = 4.0
_ANSWERS: Final = 0.6
_BEGINS: Final = 0.2
_REPEATED: Final = 0.5
_ASSISTANT: Final = math.log(0.5)
_FACT: Final = 0.3


def _worths(memories: Sequence[Memory], sentences: Sequence[_Sentence], facts: Sequence[Memory]) -> list[float]:
    """What each sentence is worth, above 0."""
    spans = _spans_of(facts)
    holding = Counter(term for sentence in sentences for term in sentence.terms)
    ends_asking = [memory.content.rstrip().endswith(("?", "？")) for memory in memories]
    worths = []
    for place, sentence in enumerate(sentences):
        rarity = sum(math.log(1 + len(sentences) / holding[term]) for term in sentence.terms) / 10
        log_worth = _RARE_WORDS * min(rarity, _RARE_WORDS_CAP)
        log_worth += sum(weight * min(len(sign.findall(sentence.text)), 2) for sign, weight in _SIGNS)
        if sentence.memory > 0 and ends_asking[sentence.memory - 1]:
            log_worth += _ANSWERS
        if place == 0 or sentences[place - 1].memory != sentence.memory:
            log_worth += _BEGINS
        if memories[sentence.memory].role == "assistant":
            log_worth += _ASSISTANT
        end = sentence.start + len(sentence.text)
        if any(first < end and sentence.start < last for first, last in spans.get(memories[sentence.memory].id, ())):
            log_worth += _FACT
        worths.append(math.exp(log_worth))
    return worths


def _spans_of(facts: Sequence[Memory]) -> dict[str, list[tuple[int, int]]]:
    """By turn: the characters that facts were read from."""
    spans: dict[str, list[tuple[int, int]]] = {}
    for memory in facts:
        if memory.fact is not None and memory.fact.span is not None:
            for id in memory.derived_from:
                spans.setdefault(id, []).append(memory.fact.span)
    return spans
