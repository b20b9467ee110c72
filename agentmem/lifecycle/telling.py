"""What is worth telling of a session next time, in a few lines that cite their turns: no model, nothing made up.

What was talked about, decided, promised, left open, and the mood. Sentences are quoted, promises and plans are taken
from facts, and a line that cannot name its turns is not there. English; of other languages it quotes what tells most,
names what came up again, and leaves the rest out.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Final, Literal, NamedTuple, get_args

from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.context.identity import due_of
from agentmem.extractors import vocabulary
from agentmem.interfaces import CompressionRequest, TokenCounter
from agentmem.records import Memory
from agentmem.retrieval.lexical import split_sentences

About = Literal["talked", "decided", "promised", "open", "mood"]
ABOUT: Final[tuple[About, ...]] = get_args(About)

MAX_TOKENS: Final = 120
READ_TURNS: Final = 400
"""Of a longer session only so many of the last turns are told of."""
TOLD_ATTRIBUTES: Final = frozenset({"commitment", "plan"})
"""Facts about anything else are no news of a session: they are in the identity."""
_READ_CHARACTERS: Final = 1_500
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
    """What to tell of a session, in the order of ``ABOUT``. Pure.

    Args:
        turns: Of one session, in the order said; those that are not trusted are left out.
        facts: That hold, and were read from these turns; of others nothing is told.
        max_tokens: Never exceeded.
    """
    told = [turn for turn in turns if turn.trusted and turn.kind == "turn"][-READ_TURNS:]
    lines = _within(_by_need(told, list(facts), counter), max_tokens, counter)
    return sorted(lines, key=lambda line: ABOUT.index(line.about))


def _by_need(turns: Sequence[Memory], facts: Sequence[Memory], counter: TokenCounter) -> Iterator[HandOverLine]:
    """Every line there could be, what is missed most first."""
    if not turns:
        return
    said = [sentence for turn in turns for sentence in _sentences(turn)]
    promised, coming = _promised(turns, facts), _coming(turns, facts)
    decided, asked = _decided(said), _asked(turns, said)
    quoted = _quoted(turns, counter)
    yield from _topics(turns)
    yield from promised[:3]
    yield from asked[:1]
    yield from _last(said)
    yield from decided[:1]
    yield from quoted[:1]
    yield from coming[:2]
    yield from _mood(turns)
    yield from (*decided[1:2], *quoted[1:4], *promised[3:6], *asked[1:2], *coming[2:4])


def _within(lines: Iterable[HandOverLine], max_tokens: int, counter: TokenCounter) -> list[HandOverLine]:
    kept: list[HandOverLine] = []
    seen: set[str] = set()
    left = max_tokens
    for line in lines:
        cost = counter.count(line.text) + 1
        quote = line.text.partition(": ")[2] or line.text
        if cost <= left and not any(quote in other or other in quote for other in seen):
            kept.append(line)
            seen.add(quote)
            left -= cost
    return kept


# --- sentences ------------------------------------------------------------------------------------


class _Sentence(NamedTuple):
    turn: Memory
    text: str

    @property
    def is_question(self) -> bool:
        return self.text.endswith(("?", "？"))


_MARKUP: Final = re.compile(r"^\s*(?:[-*+•#>|`~]|\d+[.)]\s|\[|https?:)")
_COURTESY: Final = re.compile(
    r"^\W*(?:(?:hey|hi|hello|thanks?|thank you|bye|goodbye|see you|see ya|talk (?:to you )?(?:soon|later)|take care"
    r"|good(?:night|bye| luck| morning| evening)?|great|wow|awesome|cool|nice|sounds|sure|ok(?:ay)?|yes|yeah|yep|no"
    r"|that['’]?s|congrat\w*|glad|can['’]t wait|have (?:a|fun)|keep|will do|you['’]re welcome|no problem|let me know"
    r"|i hope|hope|i['’]m glad|i['’]m sorry|sorry|absolutely|definitely|of course|certainly|oh|aw+|haha)\b"
    r"|what(?:['’]s up| about you|['’]s new)|how(?:['’]?(?:re| are) (?:you|things)|['’]s it going| about you))",
    re.IGNORECASE,
)


def _sentences(turn: Memory) -> Iterator[_Sentence]:
    """The sentences of a turn without lists, code and links."""
    content = turn.content[:_READ_CHARACTERS]
    for start, end in split_sentences(content):
        text = content[start:end]
        if not _MARKUP.match(text) and len(text) > 1:
            yield _Sentence(turn, text)


def _is_courtesy(text: str) -> bool:
    return len(text) < 60 and _COURTESY.match(text) is not None


def _quote(sentence: _Sentence) -> str:
    return f"{_who(sentence.turn)}: {_short(sentence.text)}"


def _short(text: str) -> str:
    """The text, cut at a word where it is long."""
    text = " ".join(text.split())
    if len(text) <= _QUOTED_CHARACTERS:
        return text
    return text[:_QUOTED_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def _who(turn: Memory) -> str:
    return turn.speaker or ("The user" if turn.role == "user" else "The assistant")


def _line(about: About, text: str, *turns: Memory) -> HandOverLine:
    return HandOverLine(about, text, tuple(dict.fromkeys(turn.id for turn in turns)))


# --- what was said --------------------------------------------------------------------------------

_DECIDED: Final = re.compile(
    r"\b(?:(?:I|we)(?:['’]ve| have)? (?:just |finally |both )?(?:decided|agreed|settled on|chose|chosen|picked|opted)\b"
    r"|(?:I|we)(?:['’]ll| will|['’](?:m|re) going to) (?:go (?:with|for)|take|stick with|choose|pick)\b"
    r"|(?:I|we)(?:['’]m|['’]re| am| are) going (?:with|for)\b"
    r"|let['’]s (?:go (?:with|for)|use|take|pick|choose|stick with|settle)\b|(?:my|our) (?:final )?decision\b"
    r"|made up (?:my|our) minds?\b|it['’]s (?:settled|decided|a deal)\b)",
    re.IGNORECASE,
)
_DODGED: Final = re.compile(
    r"\b(?:(?:I|we) (?:don['’]t|do not|can['’]t|cannot) (?:know|say|tell|find)|(?:not|I['’]m un)\s?sure|no idea"
    r"|(?:I|we)['’]ll (?:check|look|find out|get back|ask|see|think)|let me (?:check|find out|look|ask|think|get back)"
    r"|(?:unable|unfortunately)\b)",
    re.IGNORECASE,
)
_OFFER: Final = re.compile(
    r"\b(?:would you like|do you want me|shall I|should I|can I (?:help|assist)|is there anything|anything else"
    r"|does that (?:help|make sense)|do you have any)\b",
    re.IGNORECASE,
)


def _decided(said: Sequence[_Sentence]) -> list[HandOverLine]:
    """Decisions, the last one first: it may have replaced the ones before."""
    found = [each for each in said if not each.is_question and _DECIDED.search(each.text)]
    return [_line("decided", f"Decided. {_quote(each)}", each.turn) for each in reversed(found)]


def _asked(turns: Sequence[Memory], said: Sequence[_Sentence]) -> list[HandOverLine]:
    """Questions that nobody answered, the last one first."""
    answers = {asking.id: answer for asking, answer in pairwise(turns)}
    found = [
        each
        for each in said
        if each.is_question
        and not _is_courtesy(each.text)
        and not _OFFER.search(each.text)
        and _is_unanswered(each.turn, answers.get(each.turn.id))
    ]
    return [_line("open", f"Not answered. {_quote(each)}", each.turn) for each in reversed(found)]


def _is_unanswered(asking: Memory, answer: Memory | None) -> bool:
    if answer is None:
        return True
    is_other = (answer.role, answer.speaker) != (asking.role, asking.speaker)
    return asking.role == "user" and is_other and _DODGED.search(answer.content[:120]) is not None


def _last(said: Sequence[_Sentence]) -> Iterator[HandOverLine]:
    """What was spoken of last, small talk aside: the user's words before the assistant's."""
    telling = [each for each in said if len(each.text) > 20 and not _is_courtesy(each.text)]
    by_user = [each for each in telling[-12:] if each.turn.role == "user"]
    for each in (by_user or telling)[-1:]:
        yield _line("open", f"At the end. {_quote(each)}", each.turn)


_QUOTED_FROM: Final = 40
_QUOTED_TOKENS: Final = 90


def _quoted(turns: Sequence[Memory], counter: TokenCounter) -> list[HandOverLine]:
    """Sentences that tell most, of the turns that matter most; those of the user's where there are any."""
    by_user = [turn for turn in turns if turn.role == "user"] or turns
    matter = heapq.nlargest(_QUOTED_FROM, range(len(by_user)), key=lambda place: by_user[place].importance or 0.0)
    texts = ((by_user[place], [each.text for each in _sentences(by_user[place])]) for place in sorted(matter))
    cleaned = [replace(turn, content="\n".join(_short(text) for text in said)) for turn, said in texts if said]
    lines = ExtractiveCompressor(tokens=counter).compress(CompressionRequest(cleaned, _QUOTED_TOKENS))
    return [HandOverLine("talked", line.text, tuple(line.derived_from)) for line in lines]


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
        fact = memory.fact
        cited = tuple(id for id in memory.derived_from if id in here)
        if fact is not None and (fact.attribute, fact.polarity) == (attribute, "affirmed") and cited:
            due = due_of(memory)
            day = f" ({due.day} {due:%B %Y})" if due is not None else ""
            lines.append(HandOverLine(about, memory.content.rstrip(".") + day + ".", cited))
    return lines


# --- the mood -------------------------------------------------------------------------------------

_FELT: Final = 0.2
"""A valence nearer to 0 is no feeling."""


def _mood(turns: Sequence[Memory]) -> Iterator[HandOverLine]:
    """How the user felt, in a word, and where it went; nothing where it is not clear."""
    by_user = [turn for turn in turns if turn.role == "user"]
    felt = [turn for turn in by_user if turn.affect and turn.affect.label and abs(turn.affect.valence) >= _FELT]
    if len(felt) < 2:
        return
    early, late = felt[: len(felt) // 2], felt[len(felt) // 2 :]
    first, then = _feeling(early), _feeling(late)
    if _valence(early) * _valence(late) < 0 and first and then:
        yield _line("mood", f"Mood: {first[0]}, then {then[0]}.", *first[1], *then[1])
    elif whole := _feeling(felt):
        yield _line("mood", f"Mood: {whole[0]}.", *whole[1])


def _valence(turns: Sequence[Memory]) -> float:
    return sum(turn.affect.valence for turn in turns if turn.affect)


def _feeling(turns: Sequence[Memory]) -> tuple[str, list[Memory]] | None:
    """The label that the turns together speak of most and the two that say it loudest; None if they contradict."""
    sign = _valence(turns)
    strength: defaultdict[str, float] = defaultdict(float)
    for turn in turns:
        if turn.affect and turn.affect.label and turn.affect.valence * sign > 0:
            strength[turn.affect.label] += abs(turn.affect.valence)
    if abs(sign) < _FELT * len(turns) or not strength:
        return None
    label = max(strength, key=lambda each: strength[each])
    saying = [turn for turn in turns if turn.affect and turn.affect.label == label]
    return label, sorted(saying, key=lambda turn: -abs(turn.affect.valence if turn.affect else 0.0))[:2]


# --- topics ---------------------------------------------------------------------------------------

_WORD: Final = re.compile(r"[^\W\d_](?:[\w'’-]*\w)?")
_TOPICS: Final = 4
_CITED: Final = 2
"""Turns that a topic cites."""


def _topics(turns: Sequence[Memory]) -> Iterator[HandOverLine]:
    """What came up again and again, by name."""
    speakers = {word.casefold() for turn in turns for word in _WORD.findall(turn.speaker or "")}
    runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
    where: defaultdict[str, dict[str, Memory]] = defaultdict(dict)
    for turn in turns:
        for run in _runs(turn.content[:_READ_CHARACTERS], speakers):
            for word in run:
                stem = _stem(word)
                runs[stem][" ".join(run)] += 1
                where[stem][turn.id] = turn
    found = [(_weight(where[stem].values(), runs[stem]), stem) for stem in where]
    chosen: dict[str, list[Memory]] = {}
    told: set[str] = set()
    for weight, stem in sorted(found, key=lambda each: (-each[0], each[1])):
        if weight < 2 or len(chosen) == _TOPICS:
            break
        if stem in told:
            continue
        phrase = _phrase(stem, runs[stem])
        stems = {_stem(word) for word in phrase.split()}
        told |= stems
        if not any(stems & {_stem(word) for word in other.split()} for other in chosen):
            holding = [turn for turn in where[stem].values() if phrase.casefold() in turn.content.casefold()]
            chosen[phrase] = holding[:_CITED] or list(where[stem].values())[:_CITED]
    if chosen:
        cited = [turn for saying in chosen.values() for turn in saying]
        yield _line("talked", f"Talked about {_listed(list(chosen))}.", *cited)


def _runs(text: str, speakers: Collection[str]) -> Iterator[tuple[str, ...]]:
    """Words that stand side by side and could name something, three at most."""
    run: list[str] = []
    end = -1
    for match in _WORD.finditer(text):
        word = match[0]
        low = word.casefold().replace("’", "'")
        if run and (match.start() != end + 1 or text[end] not in " -" or len(run) == 3):
            yield tuple(run)
            run = []
        end = match.end()
        bare = low.partition("'")[0]
        if len(bare) < 3 or bare in _light() or low in speakers or any(name.startswith(bare) for name in speakers):
            if run:
                yield tuple(run)
                run = []
        else:
            run.append(word.removesuffix("'s").removesuffix("’s"))
    if run:
        yield tuple(run)


def _weight(turns: Iterable[Memory], runs: Mapping[str, int]) -> float:
    """In how many turns it came up; the user's count double, and so do names."""
    said = sum(1.0 if turn.role == "user" else 0.5 for turn in turns)
    is_name = sum(count for run, count in runs.items() if any(word[0].isupper() for word in run.split()[1:]))
    return said * (1.5 if is_name * 2 >= sum(runs.values()) else 1.0)


def _phrase(stem: str, runs: Mapping[str, int]) -> str:
    """The longest words that it often stands among."""
    total = sum(runs.values())
    often = [run for run, count in runs.items() if count >= 2 and count * 3 >= total]
    if often:
        return max(often, key=lambda run: (len(run.split()), runs[run]))
    words = Counter(word for run in runs for word in run.split() if _stem(word) == stem)
    return max(words, key=lambda word: (words[word], word.islower()))


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
    "congrats congratulations wow hey yeah yes okay haha lol bye awesome glad welcome sorry please "
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
    "january february march april june july august september october november december monday tuesday wednesday "
    "thursday friday saturday sunday"
)


@cache
def _light() -> frozenset[str]:
    """Words that name no topic."""
    v = vocabulary
    return _LIGHT | v.BAD_START | v.ADVERBS | v.UNSURE_ADVERBS | v.FILLERS | v.TIME_OPENERS | v.PRONOUNS | v.STOPS
