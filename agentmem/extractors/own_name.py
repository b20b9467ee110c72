"""Rules for what people say they are called: "I'm Ana.", "name is Jürgen Vogt", "everybody calls me Peggy"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_name, is_stated
from agentmem.extractors.findings import Found
from agentmem.extractors.phrases import Span, named


def introduced(clause: Clause) -> Iterator[Found]:
    """Reads "I'm Ana": what is written like a name, is no word for what one may be, and stands by itself."""
    sentence, place = clause.sentence, clause.verb
    if clause.who != "i" or clause.negated or clause.past or not sentence.is_capital(place):
        return
    found, end = named(sentence, place)
    if found is None or not is_a_name(sentence, found):
        return
    goes_on = _GOES_ON.match(sentence.low, sentence.ends[end - 1], sentence.end) is not None
    greets = goes_on or sentence.words[0] in _GREETINGS or _GREETS.search(sentence.rest(end - 1)) is not None
    if not greets and (sentence.words[place] in v.MONTHS or not _is_at_start(sentence, clause.first)):
        return
    ends = end >= len(sentence.words) or sentence.breaks[end][:1] in _ENDS_A_NAME
    if ends or sentence.words[end] in ("and", "from", "by"):
        yield Found("name", found)


def is_a_name(sentence: Sentence, at: Span) -> bool:
    """True if capitalised words can be nothing but a name: "Hungry", "Catholic", "Batman", "Head of Sales" are none."""
    words = sentence.words[at[0] : at[1]]
    if not is_name(sentence, at[0]) or any(_is_no_name(word) for word in words):
        return False
    if sentence.said(*at).isupper() and len(words[0]) > 1:
        return False
    return not (len(words) > 1 and words[-1] in v.JOBS and words[0] in v.RANKS)


def _is_no_name(word: str) -> bool:
    if word in v.NAMES_LIKE_WORDS:
        return False
    return any(word in kind for kind in _KINDS_OF_WORDS) or _PEOPLE_OF.search(word) is not None


_KINDS_OF_WORDS: Final = (
    v.NO_NAMES,
    v.FILLERS,
    v.ADVERBS,
    v.DIETS,
    v.CONDITIONS,
    v.COMPANIES,
    v.RELATIONS,
    v.PARTNERS,
    v.ANIMALS,
    v.JOBS,
)


def _is_at_start(sentence: Sentence, first: int) -> bool:
    return all(word in v.FILLERS for word in sentence.words[:first])


_GREETINGS: Final = v.words("hi hello hey")
_ENDS_A_NAME: Final = tuple(",.!;:(—–-")
_GREETS: Final = re.compile(r"\bnice to meet\b|\bby the way\b")
_GOES_ON: Final = re.compile(r"(?:, (?:an? |\d\d\b|from |i'm |i (?:live|work|am)\b)| and (?:i'm|i |my )| from )")
_PEOPLE_OF: Final = re.compile(r"(?:ish|ian|ese|ican|ench|itch|ness|less|ful|'s)$|\w-(?:based|born|bound|free)$|\d")


# --- other ways to say so -------------------------------------------------------------------------

_NAME_IS: Final = re.compile(
    r"(?:^\W*(?:(?:hi|hello|hey)(?: there)?[,! ]+)?the |[,;] ?)name(?:'s| is|:) (?P<name>[^\W\d_])"
)
_HERE: Final = re.compile(
    r"\s*(?:(?:hi|hello|hey)(?: (?:there|everyone|all|again|folks|guys))?[,! ]+(?P<hi>\w+) here\b"
    r"|(?P<here>\w+)(?: \w+)? here(?: again)?(?=\s*[.!,:–—-]|\s*$)|it's (?:me, )?(?P<its>\w+)(?:"
    r" again)?(?=\s*[.!,]|\s*$))"
)
_GREETED: Final = re.compile(
    r"\s*(?:hi|hey|hello|good (?:morning|afternoon|evening))(?: (?:there|all|everyone|again|folks|[a-z]{2,12}))?[,!. ]+"
    r"(?:i'm|im|i am) (?P<name>[^\W\d_]{2,20})(?=\s*[.!,]|\s*$| and (?:i|my)\b)"
)
_CALLED: Final = re.compile(
    r"\b(?:everyone|everybody|people|friends|my friends|most people|they all)(?: (?:just|all|always"
    r"|usually))? calls? me "
    r"(?P<name>\w)"
)
KIDDED: Final = re.compile(r"\b(?:call me|my name is|i'm|i am) [^.!?\n]{1,40}[.!]+ (?:kidding|joking)[.!…, ]*$")
"""What takes a name back; the right one follows it as a sentence of its own."""
_NO_LOWER_NAME: Final = re.compile(r"(?:ing|ed|ly|ful|less|ous|able|ible|ish|ese|ight|ive|ick|oke)$")


def names_self(sentence: Sentence) -> Iterator[Found]:
    """Reads "Hi, Marcus here", "The name's Priya"; in small letters only behind a hello."""
    for begins in _named_at(sentence):
        yield from (found for found in _name_at(sentence, begins) if found.at and is_a_name(sentence, found.at))
    yield from _in_small_letters(sentence)


def goes_by(sentence: Sentence) -> Iterator[Found]:
    """Reads "everybody calls me Peggy", which counts more than what she is called on paper."""
    if called := _CALLED.search(sentence.low, sentence.start, sentence.end):
        yield from _name_at(sentence, called.start("name"))


def _name_at(sentence: Sentence, begins: int) -> Iterator[Found]:
    place = next((at for at, start in enumerate(sentence.starts) if start >= begins), 0)
    found, _ = named(sentence, place)
    if found and is_name(sentence, found[0]) and is_stated(sentence, 0, place):
        yield Found("name", found, polarity="affirmed")


def _named_at(sentence: Sentence) -> Iterator[int]:
    low, start, end = sentence.low, sentence.starts[0], sentence.end
    if (name := _NAME_IS.search(low[start:end])) and _is_their_own(low[max(0, start - 200) : start + name.start()]):
        yield start + name.start("name")
    if not low[:start].strip() and (here := _HERE.match(low, start, end)) and here.lastgroup:
        begins = here.start(here.lastgroup)
        if here.lastgroup == "hi" or "again" in here[0] or "me, " in here[0] or here["here"]:
            yield begins
    if KIDDED.search(low, max(0, start - 60), start) and len(sentence.words) == 1:
        yield start


def _is_their_own(before: str) -> bool:
    """False if the name may be that of somebody or something told of just before."""
    said = re.findall(r"[\w-]+", before)
    return all(kind.isdisjoint(said) for kind in (v.RELATIONS.keys(), v.PARTNERS, v.ANIMALS.keys(), _OTHERS))


_OTHERS: Final = v.words(
    "he she it its his her they their friend friends boss colleague baby boy girl guy man woman company shop band app "
    "startup boat character business product project game file book team group site website domain user brand called"
)


def _in_small_letters(sentence: Sentence) -> Iterator[Found]:
    """Reads "hi sol, i'm maya": few words but names stand there that are no state, trade or origin."""
    found = _GREETED.match(sentence.low)
    if found is None or not sentence.start <= found.start("name") < sentence.end:
        return
    place = next(at for at, start in enumerate(sentence.starts) if start >= found.start("name"))
    word = sentence.words[place]
    common = v.BAD_START | v.STOPS | v.PRONOUNS | v.DETERMINERS | v.NOT_NAMES | v.FILLERS | v.LANGUAGES
    if sentence.is_capital(place) or word in common or _is_no_name(word) or _NO_LOWER_NAME.search(word):
        return
    if word not in v.PLACES or word == "sofia":
        yield Found("name", (place, place + 1), polarity="affirmed")
