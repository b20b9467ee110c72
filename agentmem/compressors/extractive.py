"""Fewer tokens by choosing sentences: no model, no network, nothing that was not said."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agentmem.compressors.passages import GAP, Passage, passages, quoted, retracted
from agentmem.interfaces import CompressedLine, CompressionRequest, Compressor, TokenCounter
from agentmem.records import Memory
from agentmem.retrieval.lexical import query_terms
from agentmem.tokens import default_counter


class ExtractiveCompressor(Compressor):
    """The sentences that tell most, verbatim, one line per memory with its speaker, in the order given.

    A gap between two is marked ("…"), and so is a text that somebody pasted. Who takes back what they said is quoted
    with both or with neither. Scraps ("Not yet.") are only told where everything is.

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
        # What was spoken without a stop is cut at words, or one breath would cost the whole budget.
        said = [passages(memory, longest=_LONGEST_CHARACTERS) for memory in request.memories]
        return self.of_passages(request.memories, said, request.max_tokens, facts=request.facts)

    def of_passages(
        self,
        memories: Sequence[Memory],
        said: Sequence[Sequence[Passage]],
        max_tokens: int,
        *,
        facts: Sequence[Memory] = (),
    ) -> Sequence[CompressedLine]:
        """As ``compress``, of these passages of each memory alone."""
        sentences = [
            _Sentence(place, passage, frozenset(query_terms(passage.text)))
            for place, each in enumerate(said)
            for passage in each
        ]
        whole = _lines(memories, sentences)
        if self._counter.count(_joined(whole)) <= max_tokens:
            return whole
        chosen = self._chosen(memories, sentences, facts, max_tokens)
        while chosen and self._counter.count(_joined(_lines(memories, chosen))) > max_tokens:
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
        taken: set[int] = set()
        left = max_tokens
        corrections = _corrections(memories, sentences)
        spans = _spans_of(facts)
        waiting = [
            (-gain(place), place)
            for place, sentence in enumerate(sentences)
            if not sentence.is_scrap or sentence.holds(spans.get(memories[sentence.memory].id, ()))
        ]
        heapq.heapify(waiting)
        while waiting:
            _, place = heapq.heappop(waiting)
            gained = -gain(place)
            if waiting and gained > waiting[0][0]:
                # Gains only ever sink: what is still the best when looked at again is the best.
                heapq.heappush(waiting, (gained, place))
                continue
            together = [each for each in (corrections.get(place), place) if each is not None and each not in taken]
            cost = sum(tokens[each] + self._apart(memories, sentences[each], begun) for each in together)
            if cost <= left:
                left -= cost
                for each in together:  # what is dropped again is dropped before its correction
                    taken.add(each)
                    chosen.append(sentences[each])
                    begun.add(sentences[each].memory)
                    told |= sentences[each].terms
        return chosen

    def _apart(self, memories: Sequence[Memory], sentence: _Sentence, begun: Collection[int]) -> int:
        """Tokens beside the sentence: whose it is, or the mark of a gap."""
        mark = 0 if sentence.passage.whose == "own" else self._counter.count(f"[{sentence.passage.whose}: ]")
        if sentence.memory in begun:
            return mark + self._counter.count(f" {GAP}")
        return mark + self._counter.count(f"{_who(memories[sentence.memory])}: ") + 1


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of ``memories[memory]``, with what takes it back behind it."""

    memory: int
    passage: Passage
    terms: frozenset[int]

    @property
    def text(self) -> str:
        return self.passage.text

    @property
    def is_scrap(self) -> bool:
        """Whether it tells nothing by itself: "Not yet.", "2."."""
        return len(self.terms) < _FEWEST_TERMS and len(_LETTERS.findall(self.text)) < _FEWEST_WORDS

    def holds(self, spans: Sequence[tuple[int, int]]) -> bool:
        """Whether any of these (start, end) of its memory's content is in it."""
        start = self.passage.start
        return any(first < start + len(self.text) and start < last for first, last in spans)


_LONGEST_CHARACTERS: Final = 400
_FEWEST_TERMS: Final = 3
_FEWEST_WORDS: Final = 3
_LETTERS: Final = re.compile(r"[^\W\d_][\w'’-]*")


def _corrections(memories: Sequence[Memory], sentences: Sequence[_Sentence]) -> Mapping[int, int]:
    """By the place of a sentence: that of the one, in the speaker's next turn, which takes it back."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, sentence in enumerate(sentences):
        first.setdefault(sentence.memory, place)
        last[sentence.memory] = place
    return {last[said]: first[later] for said, later in retracted(memories) if said in last and later in first}


def _lines(memories: Sequence[Memory], chosen: Collection[_Sentence]) -> list[CompressedLine]:
    told: dict[int, list[Passage]] = {}
    for sentence in sorted(chosen, key=lambda each: (each.memory, each.passage.start)):
        told.setdefault(sentence.memory, []).append(sentence.passage)
    return [
        CompressedLine(f"{_who(memories[place])}: {quoted(said)}", (memories[place].id,))
        for place, said in told.items()
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
        if sentence.holds(spans.get(memories[sentence.memory].id, ())):
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
