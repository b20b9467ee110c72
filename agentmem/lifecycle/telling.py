"""What is worth telling of a session next time, in a few lines that cite their turns: no model, nothing made up.

What was talked about, decided, promised, left open, and the mood. Sentences are quoted, promises and plans are taken
from facts, and a line that cannot name its turns is not there. Only somebody's own words are told as theirs, not what
they pasted, played or took back. English; of other languages it quotes what tells most, names what came up again, and
leaves the rest out.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise, zip_longest
from typing import Final, Literal, NamedTuple

from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.compressors.passages import GAP, Passage, passages, retracted
from agentmem.context.identity import due_of
from agentmem.extractors import vocabulary
from agentmem.extractors.gates import HIDDEN, READ_CHARACTERS, assistants_words, is_the_assistants
from agentmem.interfaces import TokenCounter
from agentmem.lifecycle.digests import names_of
from agentmem.records import Memory
from agentmem.retrieval.sittings import MOST_TURNS

About = Literal["talked", "decided", "promised", "open", "mood"]

MAX_TOKENS: Final = 120
_MOST_LINES: Final = 8
"""In a prompt every line costs its citation too."""
_QUOTED_CHARACTERS: Final = 160


@dataclass(frozen=True, slots=True)
class HandOverLine:
    """One line of a hand-over: what it is about, its words, the ids of the turns that it stands on."""

    about: About
    text: str
    derived_from: tuple[str, ...]


def handover_of(
    turns: Sequence[Memory], facts: Iterable[Memory], *, max_tokens: int = MAX_TOKENS, counter: TokenCounter
) -> list[HandOverLine]:
    """What to tell of a session, what would be missed most first. Pure.

    Args:
        turns: Of one session, in the order said; those that are not trusted are left out.
        facts: That hold, and were read from these turns; of others nothing is told.
        max_tokens: Never exceeded.
    """
    told = [turn for turn in turns if turn.trusted and turn.is_said][-MOST_TURNS:]
    return _within(_by_need(told, list(facts), counter), max_tokens, counter)


def is_news(memory: Memory) -> bool:
    """Whether it is a fact that a hand-over may tell: a promise, or a plan with its day. Others are in the identity."""
    fact = memory.fact
    if fact is None or fact.polarity != "affirmed":
        return False
    return fact.attribute == "commitment" or (fact.attribute == "plan" and due_of(memory) is not None)


def _by_need(turns: Sequence[Memory], facts: Sequence[Memory], counter: TokenCounter) -> Iterator[HandOverLine]:
    """Every line there could be, what is missed most first."""
    if not turns:
        return
    promised, coming = _promised(turns, facts), _coming(turns, facts)
    read: _Read = {turn.id: passages(own) if (own := _own(turn)) is not None else [] for turn in turns}
    whole = _standing(turns, read)
    # What facts tell is not quoted once more.
    said = [sentence for sentence in whole if not any(sentence.holds(fact) for fact in facts if is_news(fact))]
    decided, asked = _decided(said), _asked(turns, whole)
    quoted = _quoted(turns, said, counter)
    yield from _topics(turns, read)
    yield from promised[:3]
    yield from asked[:1]
    yield from decided[:2]
    yield from _last(turns, whole, said)
    yield from quoted[:2]
    yield from coming[:2]
    yield from _mood(turns, read)
    yield from (*quoted[2:4], *promised[3:6], *asked[1:2], *coming[2:4])


def _within(lines: Iterable[HandOverLine], max_tokens: int, counter: TokenCounter) -> list[HandOverLine]:
    kept: list[HandOverLine] = []
    left = max_tokens
    for line in lines:
        cost = counter.count(line.text) + 1
        if len(kept) < _MOST_LINES and cost <= left and not any(_repeats(line, other) for other in kept):
            kept.append(line)
            left -= cost
    return kept


def _repeats(line: HandOverLine, other: HandOverLine) -> bool:
    """Whether one quotes what the other quotes."""
    words, others = (_QUOTES.sub("", each.text) for each in (line, other))
    return line.derived_from == other.derived_from and (words in others or others in words)


_QUOTES: Final = re.compile(r"^(?:Not answered: |Said last by )?[^:]{1,60}: ", re.IGNORECASE)

# --- sentences ------------------------------------------------------------------------------------


class _Sentence(NamedTuple):
    """What somebody said in their own words, and the turn it stands in."""

    turn: Memory
    passage: Passage

    @property
    def text(self) -> str:
        return self.passage.text

    @property
    def is_question(self) -> bool:
        return self.text.endswith(("?", "？"))

    def holds(self, memory: Memory) -> bool:
        """Whether the fact was read from it."""
        if memory.fact is None or memory.fact.span is None or self.turn.id not in memory.derived_from:
            return False
        start, end = memory.fact.span
        return start < self.passage.start + len(self.text) and self.passage.start < end


_MARKUP: Final = re.compile(r"^\s*(?:[-*+•#>|`~]|\d+[.)]\s|\[|https?:|(?i:\w*(?:error|warning|exception)\b[^ ]*:))")
_COURTESY: Final = re.compile(
    r"^\W*(?:(?:and|but|so|well|anyway|oh|also),? )*(?:(?:hey|hi|hello|thanks?|thank you|bye|goodbye|see (?:you|ya)"
    r"|talk (?:to you )?(?:soon|later)|take (?:care|comfort)|good(?:night|bye| luck| morning| evening)?|great|wow"
    r"|awesome|cool|nice|sounds|sure|ok(?:ay)?|yes|yeah|yep|yup|no|that['’]?s|congrat\w*|can['’]t wait|have (?:a|fun)"
    r"|keep|will do|no problem|let me know|(?:just )?remember|hope|sorry|absolutely|definitely|of course|certainly|oh"
    r"|whoa|aw+|haha|you['’]\w+|believe|don['’]t let|never give up|stay|trust|go (?:get|for it)|hang in|look at"
    r"|check (?:this|it|out)|here(?:['’]s| (?:ya|you|we) go| are| is)"
    r"|what(?:['’]s (?:been )?(?:up|new|happening)| about you)"
    r"|how(?:['’]?(?:re| are) (?:you|things)|['’]s it going| about you))\b"
    r"|(?:I|we)(?:['’](?:m|re)| am| are)? (?:(?:really|so|always|just|also|totally|definitely) )*(?:here (?:for|to|if)"
    r"|hope|wish you|appreciate|agree|glad|sorry|happy (?:for|to (?:hear|see|help))|proud of you|believe in you|rooting"
    r"|got your back|sure you|see what you mean|understand|know what you mean|can see)\b"
    r"|(?:I|we)['’]ll (?:\w+ )?(?:let you know|keep you|be here|be sure|make sure to keep you|see you|talk)\b)",
    re.IGNORECASE,
)


_Read = Mapping[str, Sequence[Passage]]
"""The passages of each turn, by its id."""


def _standing(turns: Sequence[Memory], read: _Read) -> list[_Sentence]:
    """The sentences of the turns but for those that the speaker's next turn takes back."""
    sentences = [list(_sentences(turn, read[turn.id])) for turn in turns]
    for said, _ in retracted(turns):
        del sentences[said][-1:]
    return [sentence for each in sentences for sentence in each]


def _sentences(turn: Memory, said: Sequence[Passage]) -> Iterator[_Sentence]:
    """The sentences of a turn in the speaker's own words, without lists, code and links; what was pasted is "…"."""
    for passage, behind in zip_longest(said, said[1:]):
        text = passage.own
        if passage.whose != "own" or _MARKUP.match(text) or len(text) < 2:
            continue
        if text.endswith(":") and behind is not None and behind.whose != "own":
            text = f"{text} {GAP}"
        # A sentence that is cut would lose what takes it back, which stands at its end.
        if passage.first == passage.last or len(text) <= _QUOTED_CHARACTERS:
            yield _Sentence(turn, passage._replace(text=text))


def _own(turn: Memory) -> Memory | None:
    """The turn as far as it is read; of an assistant without what it wrote for others."""
    content = turn.content[:READ_CHARACTERS]
    if is_the_assistants(turn):
        words = assistants_words(turn)
        if words is None:
            return None
        content = words[0].replace(HIDDEN, "\n")
    return replace(turn, content=content)


_POINTING: Final = re.compile(
    r"^\W*(?:(?:and|but|so|also|plus|then|just|even) )*(?:it|that|this|these|those|they|he|she|him|her|them|there"
    r"|such|what a|how|you|your|let me|same|both|all of)\b",
    re.IGNORECASE,
)
_OF_ONESELF: Final = re.compile(r"\b(?:I|my|mine|we|our|me|us)\b", re.IGNORECASE)
_LISTENER: Final = re.compile(r"\b(?:you|your|yours|u)\b", re.IGNORECASE)
_FEWEST_WORDS: Final = 5
_TELLING_WORDS: Final = 2


def _is_telling(text: str) -> bool:
    """Whether it says something by itself, to somebody who was not there."""
    if text.endswith(f": {GAP}"):
        return text.count(" ") + 1 >= _FEWEST_WORDS  # what a text was pasted for
    if text.count(" ") + 1 < _FEWEST_WORDS or _COURTESY.match(text) or _POINTING.match(text):
        return False
    if _LISTENER.search(text) and not _OF_ONESELF.search(text):
        return False
    told = [word for word in _WORD.findall(text) if _bare(word)[1]]
    return len(told) >= _TELLING_WORDS or any(word[0].isupper() for word in told if not text.startswith(word))


def _quote(sentence: _Sentence) -> str:
    return f"{_who(sentence.turn)}: {_short(sentence.text)}"


def _short(text: str) -> str:
    """The text, cut at a word where it is long."""
    text = " ".join(text.split())
    if len(text) <= _QUOTED_CHARACTERS:
        return text
    return text[:_QUOTED_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def _who(turn: Memory) -> str:
    return turn.speaker or ("the user" if turn.role == "user" else "the assistant")


def _line(about: About, text: str, *turns: Memory) -> HandOverLine:
    return HandOverLine(about, text[0].upper() + text[1:], tuple(dict.fromkeys(turn.id for turn in turns)))


# --- what was said --------------------------------------------------------------------------------

_DECIDED: Final = re.compile(
    r"\b(?:(?:I|we)(?:['’]ve| have)? (?:just |finally |both )?(?:decided|agreed|settled on|chose|chosen|opted)\b"
    r"|(?:I|we)(?:['’]ll| will|['’](?:m|re) going to) (?:go (?:with|for)|take(?! care| over)|stick with|choose"
    r"|pick(?! up))\b"
    r"|(?:I|we)(?:['’]m|['’]re| am| are) going with\b"
    r"|let['’]s (?:go (?:with|for)|use|take|pick|choose|stick with|settle)\b|(?:my|our) (?:final )?decision is\b"
    r"|made up (?:my|our) minds?\b|it['’]s (?:settled|decided|a deal)\b)",
    re.IGNORECASE,
)
_DODGED: Final = re.compile(
    r"\b(?:(?:I|we) (?:don['’]t|do not|can['’]t|cannot) (?:know|say|tell|find)|(?:not|I['’]m un)\s?sure|no idea"
    r"|(?:I|we)['’]ll (?:check|look|find out|get back|ask|see|think)|let me (?:check|find out|look|ask|think|get back)"
    r"|(?:unable|unfortunately)\b)",
    re.IGNORECASE,
)


def _decided(said: Sequence[_Sentence]) -> list[HandOverLine]:
    """Decisions, the last one first: it may have replaced the ones before."""
    found = [each for each in said if not each.is_question and _DECIDED.search(each.text)]
    return [_line("decided", _quote(each), each.turn) for each in reversed(found)]


def _asked(turns: Sequence[Memory], said: Sequence[_Sentence]) -> list[HandOverLine]:
    """Questions that nobody answered, the last one first."""
    answers = {asking.id: answer for asking, answer in pairwise(turns)}
    found = [
        each
        for each in said
        if each.is_question
        and not _COURTESY.match(each.text)
        and (each.turn.role == "user" or (each is said[-1] and each.turn.speaker))
        and _is_unanswered(each.turn, answers.get(each.turn.id))
    ]
    return [_line("open", f"Not answered: {_quote(each)}", each.turn) for each in reversed(found)]


def _is_unanswered(asking: Memory, answer: Memory | None) -> bool:
    if answer is None:
        return True
    is_other = (answer.role, answer.speaker) != (asking.role, asking.speaker)
    return asking.role == "user" and is_other and _DODGED.search(answer.content[:120]) is not None


def _last(turns: Sequence[Memory], whole: Sequence[_Sentence], said: Sequence[_Sentence]) -> Iterator[HandOverLine]:
    """What was spoken of last, small talk aside: by the user, or by the assistant where nobody else spoke."""
    end = {turn.id for turn in [turn for turn in turns if turn.role == "user"][-_AT_THE_END:] or turns[-_AT_THE_END:]}
    for each in [each for each in whole if each.turn.id in end and _is_telling(each.text)][-1:]:
        if each in said:
            yield _line("talked", f"Said last by {_quote(each)}", each.turn)


_AT_THE_END: Final = 3
"""Turns."""
_QUOTED_FROM: Final = 30
"""Turns."""
_QUOTED_TOKENS: Final = 90


def _quoted(turns: Sequence[Memory], said: Sequence[_Sentence], counter: TokenCounter) -> list[HandOverLine]:
    """What the user told that tells most: first of how it began, then of the turns that matter most."""
    role = "user" if any(turn.role == "user" for turn in turns) else turns[0].role
    telling: defaultdict[str, list[Passage]] = defaultdict(list)
    for each in said:
        if each.turn.role == role and not each.is_question and _is_telling(each.text):
            telling[each.turn.id].append(each.passage._replace(text=_short(each.text)))
    by_role = [turn for turn in turns if turn.id in telling]
    matter = heapq.nlargest(_QUOTED_FROM, range(len(by_role)), key=lambda place: by_role[place].importance or 0.0)
    most = [by_role[place] for place in sorted(matter)]
    quotable = [telling[turn.id] for turn in most]
    lines = ExtractiveCompressor(tokens=counter).of_passages(most, quotable, _QUOTED_TOKENS)
    by_id = {turn.id: turn for turn in turns}
    told = [(by_id[line.derived_from[0]], line.text) for line in lines]
    quoted = [(turn, text.removeprefix(f"{turn.speaker or turn.role}: ")) for turn, text in told]
    return [*_opening(said, role), *(_line("talked", f"{_who(turn)}: {text}", turn) for turn, text in quoted)]


def _opening(said: Sequence[_Sentence], role: str) -> Iterator[HandOverLine]:
    """What the session began with, where that was a wish."""
    first = next((each.turn.id for each in said if each.turn.role == role), None)
    beginning = (each for each in said if each.turn.id == first)
    for each in [each for each in beginning if _WISHED.search(each.text) and not _COURTESY.match(each.text)][:1]:
        yield _line("talked", _quote(each), each.turn)


_WISHED: Final = re.compile(
    r"\b(?:(?:can|could|would) you|(?:I|we)(?:['’]m| am|['’]re| are) (?:looking for|trying to|planning|thinking of"
    r"|wondering|struggling|working on|having)|(?:I|we) (?:need|want|would like)|(?:I|we)['’]d like|help me|please"
    r"|what(?:['’]s| is| are)|how (?:do|can|should|to)|which|recommend|suggest|explain|write|give me|tell me)\b",
    re.IGNORECASE,
)


# --- what was promised and planned ----------------------------------------------------------------


def _promised(turns: Sequence[Memory], facts: Sequence[Memory]) -> list[HandOverLine]:
    return _of_facts("promised", "commitment", turns, facts)


def _coming(turns: Sequence[Memory], facts: Sequence[Memory]) -> list[HandOverLine]:
    """Plans that lay ahead when the session was over."""
    over = turns[-1].occurred_at
    ahead = [fact for fact in facts if (due := due_of(fact)) is not None and due > over]
    return _of_facts("open", "plan", turns, ahead)


def _of_facts(about: About, attribute: str, turns: Sequence[Memory], facts: Iterable[Memory]) -> list[HandOverLine]:
    here = {turn.id for turn in turns}
    lines = []
    for memory in facts:
        cited = tuple(id for id in memory.derived_from if id in here)
        if cited and memory.fact is not None and memory.fact.attribute == attribute and is_news(memory):
            due = due_of(memory)
            day = f" ({due.day} {due:%B %Y})" if due is not None else ""
            lines.append(HandOverLine(about, memory.content.rstrip(".") + day + ".", cited))
    return lines


# --- the mood -------------------------------------------------------------------------------------

_FELT: Final = 0.2
"""A valence nearer to 0 is no feeling."""


def _mood(turns: Sequence[Memory], read: _Read) -> Iterator[HandOverLine]:
    """How the user felt, in a word, and where it went; nothing where it is not clear, or no more than friendly."""
    by_user = [turn for turn in turns if turn.role == "user"]
    felt = [turn for turn in by_user if _is_feeling(turn, read[turn.id])]
    if len(felt) < 2 or len({turn.speaker for turn in by_user}) > 1:
        return
    early, late = felt[: len(felt) // 2], felt[len(felt) // 2 :]
    first, then = _feeling(early), _feeling(late)
    if _valence(early) * _valence(late) < 0 and first and then:
        yield _line("mood", f"Mood: {first[0]}, then {then[0]}.", *first[1], *then[1])
    elif (whole := _feeling(felt)) and (_valence(felt) < 0 or _valence(felt) > _GLAD * len(by_user)):
        yield _line("mood", f"Mood: {whole[0]}.", *whole[1])


_GLAD: Final = 0.45
"""Kind words are common: only a mean valence above this, over all that the user said, is a mood."""
_BODILY: Final = re.compile(r"\b(?:hurt(?:s|ing)?|pain(?:s|ful)?|aches?|aching|sore|swollen)\b", re.IGNORECASE)


def _is_feeling(turn: Memory, said: Sequence[Passage]) -> bool:
    """Whether it tells of the speaker's mood: a knee that hurts is no sadness, nor is a letter that was pasted."""
    affect = turn.affect
    is_felt = affect is not None and affect.label is not None and abs(affect.valence) >= _FELT
    if not is_felt or _BODILY.search(turn.content):
        return False
    return all(each.whose == "own" and each.own == each.text for each in said)


def _valence(turns: Sequence[Memory]) -> float:
    return sum(turn.affect.valence for turn in turns if turn.affect)


def _feeling(turns: Sequence[Memory]) -> tuple[str, list[Memory]] | None:
    """The label of what most turns together speak of, two at least, and the two that say it loudest; None if they
    contradict."""
    sign = _valence(turns)
    alike: defaultdict[str, list[Memory]] = defaultdict(list)
    for turn in turns:
        if turn.affect and turn.affect.label and turn.affect.valence * sign > 0:
            alike[_ALIKE.get(turn.affect.label, turn.affect.label)].append(turn)
    saying = max(alike.values(), key=lambda each: abs(_valence(each)), default=[])
    if abs(sign) < _FELT * len(turns) or len(saying) < _AGREE:
        return None
    loudest = sorted(saying, key=lambda turn: -abs(turn.affect.valence if turn.affect else 0.0))
    label = next(turn.affect.label for turn in loudest if turn.affect and turn.affect.label)
    return label, loudest[:2]


_AGREE: Final = 2
"""Turns: one alone may be in jest, or about something else."""
_ALIKE: Final = {
    "worry": "fear",
    "grief": "sadness",
    "loneliness": "sadness",
    "frustration": "anger",
    "disgust": "anger",
    "pride": "joy",
    "love": "joy",
    "gratitude": "joy",
    "hope": "joy",
    "relief": "joy",
}
"""Labels that bear each other out."""


# --- topics ---------------------------------------------------------------------------------------

_WORD: Final = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_TOPICS: Final = 4
_CITED: Final = 2
"""Turns that a topic cites."""
_BEFORE_A_NOUN: Final = vocabulary.DETERMINERS | vocabulary.words(
    "your its this that these those any about of for with in on at from new more some no two three four five"
)


class _Topic:
    """Words of one stem: where they were said, among which others, and how often as a noun."""

    def __init__(self) -> None:
        self.turns: dict[str, Memory] = {}
        self.named_by_user: set[str] = set()
        self.runs: dict[str, int] = {}
        self.times = 0
        self.as_noun = 0
        self.as_name = 0
        self.as_first = 0

    @property
    def weight(self) -> float:
        """In how many turns it came up, the user's counting double; 0 for what is no noun or not the user's."""
        by_user = sum(turn.role == "user" for turn in self.turns.values())
        if self.as_noun * 3 < self.times or not by_user:
            return 0.0
        said = by_user + 0.5 * (len(self.turns) - by_user)
        return said * (1.4 if self.is_name else 1.0)

    @property
    def is_name(self) -> bool:
        return self.as_name * 2 >= max(self.times - self.as_first, 1)

    @property
    def is_good(self) -> bool:
        """Whether it may be told: a name, or a thing that the user spoke of in two turns."""
        return len(self.named_by_user) >= (1 if self.is_name else 2)

    def phrase(self, stem: str) -> str:
        """The longest words that it often stands among; of a name those that are names too."""
        often = [run for run, count in self.runs.items() if count >= 2 and count * 3 >= self.times]
        chosen = max(often or self.runs, key=lambda run: (len(run.split()) if often else 0, self.runs[run], run))
        words = chosen.split()
        if not self.is_name and words[0][1:].islower():
            words[0] = words[0].casefold()
        place = next((place for place, word in enumerate(words) if _stem(word) == stem), None)
        if place is None or not (self.is_name or not often):
            return " ".join(words)
        first, last = place, place + 1
        while self.is_name and first > 0 and words[first - 1][0].isupper():
            first -= 1
        while self.is_name and last < len(words) and words[last][0].isupper():
            last += 1
        return " ".join(words[first:last])


_TITLE: Final = re.compile(r"[\"“]([A-Z][^\"“”\n]{2,40})[\"”]")
_REMARK: Final = re.compile(r"\[[^\]\n]*\]|https?://\S+")


def _topics(turns: Sequence[Memory], read: _Read) -> Iterator[HandOverLine]:
    """What came up again and again, by two names or more that are nobody's who speaks; one says too little."""
    names = names_of(turns)
    nicknames = frozenset(name[:end] for name in names for end in range(3, len(name) + 1))
    topics: defaultdict[str, _Topic] = defaultdict(_Topic)
    for turn in turns:
        for run in _runs(_spoken(turn, read[turn.id])[:_NAMED_CHARACTERS], nicknames):
            phrase = " ".join(run.words)
            for place, word in enumerate(run.words):
                is_noun = run.is_noun and place == len(run.words) - 1
                is_capital, is_first = word[0].isupper(), run.is_first and place == 0
                topic = topics[_stem(word)]
                topic.turns[turn.id] = turn
                topic.runs[phrase] = topic.runs.get(phrase, 0) + 1
                topic.times += 1
                topic.as_noun += is_noun or (is_capital and not is_first)
                topic.as_name += is_capital and not is_first
                topic.as_first += is_capital and is_first
                if turn.role == "user" and (is_noun or is_capital):
                    topic.named_by_user.add(turn.id)
    chosen: list[tuple[str, list[Memory]]] = []
    told: set[str] = set()
    heavy = [(topic.weight, stem, topic) for stem, topic in topics.items() if topic.is_good]
    for weight, stem, topic in sorted(heavy, key=lambda each: (-each[0], each[1])):
        if weight < _LEAST_WEIGHT or len(chosen) == _TOPICS:
            break
        phrase = topic.phrase(stem)
        stems = {_stem(word) for word in phrase.split()}
        if told.isdisjoint(stems):
            holding = [turn for turn in topic.turns.values() if phrase.casefold() in turn.content.casefold()]
            chosen.append((phrase, (holding or list(topic.turns.values()))[:_CITED]))
        told |= stems
    if len(chosen) > 1:
        cited = [turn for _, saying in chosen for turn in saying]
        yield _line("talked", f"About {_listed([phrase for phrase, _ in chosen])}.", *cited)


def _spoken(turn: Memory, said: Sequence[Passage]) -> str:
    """What somebody said in their own words; of an assistant all it said, which counts only beside the user's."""
    if turn.role == "assistant" and is_the_assistants(turn):
        return turn.content
    return "\n".join(each.own for each in said if each.whose == "own")


_LEAST_WEIGHT: Final = 1.2
_NAMED_CHARACTERS: Final = 600


class _Run(NamedTuple):
    """Words that stand side by side and could name something, three at most.

    Args:
        is_noun: What stands before says so.
        is_first: It begins a sentence, so that its capital says nothing.
    """

    words: tuple[str, ...]
    is_noun: bool
    is_first: bool


def _runs(text: str, nicknames: Collection[str]) -> Iterator[_Run]:
    for title in _TITLE.findall(text):
        words = _WORD.findall(title)
        if any(_bare(word)[1] for word in words) and all(word[0].isupper() for word in words if len(word) > 3):
            yield _Run((title.rstrip(",."),), True, False)
    text = _TITLE.sub(" . ", _REMARK.sub(" . ", text))
    run: list[str] = []
    before, end = "", -1
    is_noun = is_first = False
    for match in _WORD.finditer(text):
        word = match[0]
        low, bare = _bare(word)
        start = match.start()
        is_apart = start != end + 1 or text[end] not in " -"
        is_name_on = bool(run) and not is_apart and word[0].isupper() and run[-1][0].isupper()
        is_light = (not bare and not is_name_on) or low in nicknames
        if run and (is_light or is_apart or len(run) == 3):
            yield _Run(_noun_of(run), is_noun, is_first)
            run = []
        if not is_light:
            if not run:
                is_first = _begins(text, start)
                is_name = word[0].isupper() and not is_first
                is_noun = is_name or (not is_apart and before in _BEFORE_A_NOUN)
            run.append(bare or word)
        before, end = low, match.end()
    if run:
        yield _Run(_noun_of(run), is_noun, is_first)


def _noun_of(run: Sequence[str]) -> tuple[str, ...]:
    """The words without a verb behind them: "turtles" of "turtles sitting"."""
    end = len(run)
    while end > 1 and run[end - 1].endswith(("ing", "ed")):
        end -= 1
    return tuple(run[:end])


@lru_cache(20_000)
def _bare(word: str) -> tuple[str, str]:
    """The word in lower case, and as it was written, without "'s"; "" where it names no topic."""
    written = word.replace("’", "'").removesuffix("'s")
    low = written.casefold()
    return low, "" if len(low) < 3 or low in _light() else written


def _begins(text: str, start: int) -> bool:
    """Whether a sentence begins there."""
    before = text[max(start - 3, 0) : start].rstrip(" ")
    return not before or before[-1] in '.!?…:"“*-\n'


@lru_cache(20_000)
def _stem(word: str) -> str:
    low = word.casefold()
    if low.endswith("ies") and len(low) > 4:
        return low[:-3] + "y"
    if low.endswith("s") and not low.endswith(("ss", "us", "is")) and len(low) > 3:
        return low[:-1]
    return low


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


_LIGHT: Final = vocabulary.words(
    "thing time times way lot bit day days week month year years today people person someone everyone guy guys friend "
    "friends life world moment moments part place places kind sort type example idea ideas thought thoughts reason "
    "point case number side area work works working making going doing being having getting taking giving looking "
    "feeling feelings trying using thinking talking seeing hearing learning helping finding keeping showing starting "
    "coming meeting hanging spending reading playing sharing creating enjoying building moving living "
    "good great nice amazing awesome cool wonderful fantastic incredible special beautiful gorgeous lovely fun happy "
    "glad excited exciting proud sweet perfect interesting inspiring powerful important hard tough easy big small "
    "little new old long short high low full whole real true different similar able ready sure free busy late early "
    "first second last next best better worse worst super total definitely totally really actually thank thanks "
    "congrats congratulations wow hey hello hola hallo bonjour ciao yeah yes okay haha lol bye awesome glad welcome "
    "sorry please "
    "support love joy fun luck stuff things news word words story stories experience experiences memories memory "
    "journey goal goals dream dreams passion chance opportunity opportunities challenge challenges progress success "
    "feel felt feels make makes made take takes took give gives gave get got help helped helps keep kept show shows "
    "shown showed share shared start started try tried went gone come came look looks looked find found know knew "
    "think see saw seen talk talked said say tell told ask asked want wanted need needed hope hoped mean means meant "
    "love loved loves enjoy enjoyed like liked work worked play played learn learned learnt meet met spend spent let "
    "bring brought believe remember wait happen happened sounds sound seems seem inspired inspire inspires amazed "
    "can can't cannot couldn't don't i'm i've i'll it's that's you're we're they're what's let's "
    "additional additionally overall however also including include includes included provide provides provided "
    "consider considered ensure ensures based using used use uses useful help following follow followed specific "
    "various several many much more most different common popular available possible likely certain general "
    "information details detail question questions answer answers tip tips list lists option options suggestion "
    "suggestions recommendation recommendations recommend suggest advice step steps way ways feature features "
    "wondering curious interested looking mentioned understand explain check currently "
    "recently lately speaking actually definitely absolutely plus pretty quite "
    "image shared photo photos pic pics picture pictures one two three four five six seven eight nine ten "
    "remind reminds reminder key break man men woman women blast view views side affordable daily black white red blue "
    "green yellow brown pink purple picked turned stay stayed "
    "january february march april june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays"
)


@cache
def _light() -> frozenset[str]:
    """Words that name no topic."""
    v = vocabulary
    return (
        _LIGHT
        | v.DETERMINERS
        | v.BAD_START
        | v.ADVERBS
        | v.UNSURE_ADVERBS
        | v.FILLERS
        | v.TIME_OPENERS
        | v.PRONOUNS
        | v.STOPS
    )
