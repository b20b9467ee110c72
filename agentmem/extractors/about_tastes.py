"""Rules for what people like, have and speak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_stated
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import Span, is_thing, items, phrase
from agentmem.records import Polarity


def likes(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    hates = sentence.words[clause.verb] in ("hate", "hates", "dislike", "dislikes", "detest", "despise", "loathe")
    if clause.can or clause.will or (hates and clause.negated):
        return
    words = sentence.words
    following = words[clause.verb + 1 : clause.verb + 2]
    if not v.NOT_MEANT_LIKED.isdisjoint(following) or (hates and following == ["to"]):
        return
    for found in tastes(clause, clause.verb + 1):
        polarity: Polarity | None = None
        if hates:
            polarity = "ended" if clause.used_to or clause.no_longer else "denied"
        if not (hates and polarity == "ended"):
            yield Found("likes", found.at, polarity=polarity)


def tastes(clause: Clause, place: int) -> Iterator[Found]:
    """Bare nouns and gerunds; what carries an article is mostly a remark on something at hand."""
    sentence = clause.sentence
    words = sentence.words
    if place >= len(words) or sentence.breaks[place]:
        return
    if words[place] == "to" and place + 1 < len(words):
        if words[place + 1] in _WILLING or words[place + 1] in v.BAD_START - _DOING:
            return
        found = phrase(sentence, place + 1, stops=_VERB_STOPS, most=5)
        if found and _is_a_doing(sentence, found):
            yield Found("likes", (place, found[1]))
        return
    if words[place] in v.DETERMINERS:
        known = sentence.between(place, place + 2)
        if words[place + 2 : place + 3] == ["of"] and words[place + 1] in ("smell", "taste"):
            thing = phrase(sentence, place + 3, most=4)
            if thing and is_thing(sentence, thing):
                yield Found("likes", (place, thing[1]))
            return
        if known in v.TASTES and (place + 2 >= len(words) or sentence.breaks[place + 2] or words[place + 2] in v.STOPS):
            yield Found("likes", (place, place + 2))
        return
    first: Span | None = None
    for found in items(sentence, place, stops=_TASTE_STOPS if words[place].endswith("ing") else _NOUN_STOPS):
        if words[found[1] - 1] in ("with", "about") and found[1] - found[0] > 1:
            found = found[0], found[1] - 1
        if sentence.between(found[1] - 3, found[1]) == "at the moment" and found[1] - found[0] > 3:
            found = found[0], found[1] - 3
        if not _is_taste(sentence, found):
            return
        # "Trying new foods and drinks" likes no drinks, "books about war and mindset" no mindset.
        if first and _reaches_on(words[first[0] : first[1]]) and not words[found[0]].endswith("ing"):
            return
        first = first or found
        yield Found("likes", found)


def _reaches_on(words: list[str]) -> bool:
    """True if what follows may belong to the end of the phrase and not stand beside it."""
    return (len(words) > 1 and words[0].endswith("ing")) or "about" in words or "with" in words


def _is_a_doing(sentence: Sentence, span: Span) -> bool:
    """False for "to sprinkle (it)", whose object points elsewhere."""
    words = sentence.words
    points = span[1] < len(words) and not sentence.breaks[span[1]] and words[span[1]] in _NOT_AFTER_TASTES
    loose = words[span[1] - 1] in v.STOPS | v.DETERMINERS
    return not points and not loose and v.PRONOUNS.isdisjoint(words[span[0] : span[1]])


_WILLING: Final = v.words(
    "hear see know think say be have get help come join meet stay talk chat share check try do go it"
)


_DOING: Final = v.words("take make start keep help plan work")


_VERB_STOPS: Final = v.STOPS - v.words("to in on at with for about by from the a") | {"and", "or", "but"}


_TASTE_STOPS: Final = v.STOPS - v.words("in on at to with for about through by into over under around")


def _is_taste(sentence: Sentence, span: Span) -> bool:
    words = sentence.words[span[0] : span[1]]
    if not is_thing(sentence, span) or len(words) > 6:
        return False
    ends_short = len(words) > 1 and words[-1] in _ONLY_ADJECTIVES
    if ends_short or words[0] in v.NOT_TASTES or words[-1] in v.NOT_TASTES or words[0].endswith(("'s", "ly")):
        return False
    if span[1] >= len(sentence.words) or sentence.breaks[span[1]]:
        return True
    return sentence.words[span[1]] not in _NOT_AFTER_TASTES or sentence.between(span[1], span[1] + 2) == "these days"


_NOUN_STOPS: Final = v.STOPS - {"with", "about"} | {"all"}
_ONLY_ADJECTIVES: Final = v.words(
    "safe warm nice good big small new great cozy quiet healthy fresh clean bright dark old young long short "
    "together connected"
)
_NOT_AFTER_TASTES: Final = v.words(
    "that this these those you i it is are was he she we they them him her us who which too your its last next every "
    "all where how what why when"
)


def stands(clause: Clause) -> Iterator[Found]:
    if clause.can and clause.negated:
        for found in tastes(clause, clause.verb + 1):
            yield Found("likes", found.at, polarity="denied")


def comes_to_like(clause: Clause) -> Iterator[Found]:
    """Reads "fallen in love with pottery", "grown to like olives", "gone off coffee"."""
    if clause.negated:
        return
    if place := follows(clause, "in love with", "to like", "to love", "to enjoy", "fond of"):
        yield from (replace(found, polarity="affirmed") for found in tastes(clause, place))
    elif clause.sentence.words[clause.verb] in ("gone", "went") and (place := follows(clause, "off")):
        yield from (replace(found, polarity="ended") for found in tastes(clause, place))


def is_into(clause: Clause) -> Iterator[Found]:
    yield from tastes(clause, clause.verb + 1)


def fond(clause: Clause) -> Iterator[Found]:
    if place := follows(clause, "of", "with", "about", "on", "to"):
        yield from tastes(clause, place)


def enthusiast(sentence: Sentence, found: Span) -> Iterator[Found]:
    """Reads "a huge Star Wars fan", "a coffee lover"."""
    words = sentence.words
    start = found[0]
    while start < found[1] - 1 and words[start] in _HOW_FOND:
        start += 1
    what = start, found[1] - 1
    if what[0] < what[1] and is_thing(sentence, what) and v.NOT_TASTES.isdisjoint(words[what[0] : what[1]]):
        yield Found("likes", what)


ENTHUSIASTS: Final = v.words("fan lover buff enthusiast aficionado nerd geek addict junkie fanatic")
_HOW_FOND: Final = v.words(
    "big huge massive real total true avid great bit complete lifelong life-long die-hard diehard such major keen "
    "self-confessed "
    "proud passionate devoted long-time longtime good hopeless"
)


def gets_into(clause: Clause) -> Iterator[Found]:
    """Reads "getting into pottery", "can't get enough of jazz"."""
    if (place := follows(clause, "into")) and not clause.negated and not clause.can:
        yield from tastes(clause, place)
    elif (place := follows(clause, "enough of")) and clause.negated and clause.can:
        yield from (replace(found, polarity="affirmed") for found in tastes(clause, place))


def cares(clause: Clause) -> Iterator[Found]:
    """Reads "I don't care for olives"."""
    if clause.negated and (place := follows(clause, "for", "much for")):
        yield from tastes(clause, place)


def owned(sentence: Sentence, place: int) -> Iterator[Found]:
    words = sentence.words
    if words[place : place + 1] and words[place] in ("a", "an"):
        yield from goods(sentence, place)


def owns(clause: Clause) -> Iterator[Found]:
    found = phrase(clause.sentence, clause.verb + 1, most=5)
    if (
        found
        and is_thing(clause.sentence, found)
        and clause.sentence.words[found[0] - 1] in ("a", "an", "my", "two", "three", "own")
    ):
        head = clause.sentence.words[found[1] - 1]
        if head not in (
            "mistakes",
            "mistake",
            "business",
            "life",
            "way",
            "time",
            "share",
            "lot",
            "few",
            "decisions",
            "company",
        ):
            yield Found("belonging", found)


def goods(
    sentence: Sentence, place: int, polarity: Polarity | None = None, *, branded: bool = False
) -> Iterator[Found]:
    """A thing of worth behind an article or "my"."""
    words = sentence.words
    leads = _LEADS | {"the"} if polarity == "ended" else _LEADS
    if leads.isdisjoint(words[place : place + 1]):
        return
    found = phrase(sentence, place, most=5)
    if (
        found is None
        or not is_thing(sentence, found)
        or words[found[0]] in v.RELATIONS
        or words[found[0]] in v.PARTNERS
    ):
        return
    if polarity == "ended" and "of" in words[found[0] : found[1] + 1]:
        return
    if words[found[1] - 1] == "home" and words[found[1] - 2] not in _HOMES:
        return
    if nearer := _told_nearer(sentence, found[1]):
        yield from goods(sentence, nearer, polarity, branded=branded)
        return
    is_model = all(sentence.text[sentence.starts[at]].isupper() or words[at].isdigit() for at in range(*found))
    is_capital = sentence.is_capital(found[0]) or sentence.is_capital(found[1] - 1)
    is_brand = (
        is_capital and (branded or (is_model and words[found[0]] in v.GOODS)) and words[found[1] - 1] not in _NO_GOODS
    )
    if words[found[1] - 1] not in v.GOODS and not is_brand:
        return
    if polarity != "ended" and _GIFT.match(sentence.low, sentence.ends[found[1] - 1], sentence.end):
        return
    start = found[0]
    while start < found[1] - 1 and words[start] in _PRAISED:
        start += 1
    yield Found("belonging", (start, found[1]), polarity=polarity)


_LEADS: Final = v.words("a an my our two")


def _told_nearer(sentence: Sentence, place: int) -> int:
    """The place of "a red Fiat" behind "a car,"; 0 if nothing tells more of it."""
    words = sentence.words
    if words[place : place + 1] in (["a"], ["an"]) and sentence.breaks[place] in (",", ":", "–", "—"):
        found = phrase(sentence, place, most=4)
        ends = found and (found[1] >= len(words) or sentence.breaks[found[1]] or words[found[1]] in v.STOPS - {"and"})
        if found and ends and sentence.is_capital(found[1] - 1):
            return place
    return 0


_HOMES: Final = v.words("a an my our the mobile holiday second new first retirement beach lake motor country")
_NO_GOODS: Final = v.words("book ticket tickets album shares stock gift card song")
_PRAISED: Final = v.words("new brand brand-new old own used nice beautiful lovely great cool really")


_GIFT: Final = re.compile(
    r"[^,.!]{0,40} (?:for (?:my|a|an|another|his|her|their|the|him|them)|as a (?:gift|present))\b"
)


def bought(clause: Clause) -> Iterator[Found]:
    if clause.negated or clause.who == "they":
        return
    place = clause.verb + 1
    while clause.sentence.words[place : place + 1] == ["myself"] or clause.sentence.words[place : place + 1] == [
        "ourselves"
    ]:
        place += 1
    yield from goods(clause.sentence, place, "affirmed", branded=True)


def picked_up(clause: Clause) -> Iterator[Found]:
    """Reads "picked up a used Tesla", "treated myself to a new iPad"."""
    place = follows(clause, "up", "myself to", "ourselves to")
    if place and not clause.negated and clause.who in ("i", "we"):
        yield from goods(clause.sentence, place, "affirmed")


def drives(clause: Clause) -> Iterator[Found]:
    if clause.who != "they" and not re.search(r"\bfor (?:a living|work)\b", clause.sentence.rest(clause.verb)):
        yield from goods(clause.sentence, clause.verb + 1, branded=True)


def sold(clause: Clause) -> Iterator[Found]:
    if (
        not clause.negated
        and clause.who != "they"
        and clause.sentence.words[clause.verb + 1 : clause.verb + 2] in (["my"], ["our"], ["the"])
    ):
        yield from goods(clause.sentence, clause.verb + 1, "ended", branded=True)


def traded(clause: Clause) -> Iterator[Found]:
    """Reads "traded in my Golf for an e-bike"."""
    place = follows(clause, "in") or clause.verb + 1
    words = clause.sentence.words
    if clause.negated or words[place : place + 1] not in (["my"], ["our"], ["the"]):
        return
    former = list(goods(clause.sentence, place, "ended", branded=True))
    yield from former
    for found in former:
        if found.at and words[found.at[1] : found.at[1] + 1] == ["for"]:
            yield from goods(clause.sentence, found.at[1] + 1, "affirmed", branded=True)


def speaks(clause: Clause) -> Iterator[Found]:
    yield from languages(clause.sentence, clause.verb + 1)


def languages(sentence: Sentence, place: int) -> Iterator[Found]:
    """Reads "fluent Portuguese and a bit of Dutch"."""
    for at in range(place, min(place + 16, len(sentence.words))):
        if sentence.words[at] in v.LANGUAGES:
            following = sentence.words[at + 1 : at + 2]
            if not following or sentence.breaks[at + 1] or following[0] not in _NOT_AFTER_LANGUAGES:
                yield Found("language", (at, at + 1))
        elif sentence.words[at] not in _HOW_WELL or sentence.breaks[at] not in ("", ","):
            return


def is_language(sentence: Sentence) -> Iterator[Found]:
    """Reads "Finnish is my first language"."""
    words = sentence.words
    for place in range(1, min(len(words) - 3, 8)):
        if words[place : place + 2] == ["is", "my"] and words[place - 1] in v.LANGUAGES:
            own = words[place + 2] in ("native", "first", "second", "third", "mother")
            if own and words[place + 3] in ("language", "tongue") and is_stated(sentence, place - 1, place):
                yield Found("language", (place - 1, place), polarity="affirmed", end=place + 4)
            return


_NOT_AFTER_LANGUAGES: Final = v.words(
    "is are was people person speaker speakers food teacher teachers lessons class history grammar words students guy "
    "man"
)
_HOW_WELL: Final = v.words(
    "fluent fluently some a little good decent in basic both only bit of native conversational and or but also n & "
    "plus "
    "broken passable perfect rusty well"
)


def favourite(clause: Clause, words: list[str]) -> Iterator[Found]:
    at = next(place for place, word in enumerate(words) if word in ("favorite", "favourite", "fave"))
    topic = [word for word in words[at + 1 :] if word not in ("ever", "all-time")]
    if topic[-3:] == ["of", "all", "time"]:
        topic = topic[:-3]
    if (
        at > 2
        or not topic
        or len(topic) > 4
        or topic[0] in v.NOT_FAVOURITES
        or words[0].endswith("'s")
        or "to" in topic
    ):
        return
    sentence = clause.sentence
    place = clause.verb
    while sentence.words[place : place + 1] and sentence.words[place] in ("definitely", "probably", "either"):
        if sentence.words[place] != "definitely":
            return
        place += 1
    found = phrase(sentence, place, stops=_FAVOURITE_STOPS, most=8)
    if found and is_thing(sentence, found):
        for span in items(sentence, place) if topic[-1].endswith("s") and not topic[-1].endswith("ss") else [found]:
            yield Found("favourite", span, topic=topic_of(topic))


_FAVOURITE_STOPS: Final = v.STOPS - v.words("of the in on to for with as at by from")


def topic_of(words: list[str]) -> str:
    """``color`` for "colour" and "colors"."""
    last = words[-1]
    if last == "movies":
        last = "movie"
    elif last.endswith("ies"):
        last = last[:-3] + "y"
    elif last.endswith("s") and not last.endswith(("ss", "series", "sports")) and len(last) > 3:
        last = last[:-1]
    last = {"colour": "color", "sports": "sport", "film": "film"}.get(last, last)
    return " ".join([*words[:-1], last])


_AFTER_FAVOURITES: Final = v.words("and but of ever these now nowadays so by right at because")


def is_favourite(sentence: Sentence) -> Iterator[Found]:
    """Reads "Blue is my favourite color": the value stands first."""
    words = sentence.words
    for place in range(1, min(len(words) - 2, 12)):
        become = words[place] == "become" and words[place - 1] in ("has", "have")
        if (become or words[place] in ("is", "are")) and words[place + 1] == "my" and not sentence.breaks[place + 1]:
            at = place + 2
            while words[at : at + 1] and words[at] in ("all-time", "absolute", "new", "current"):
                at += 1
            if words[at : at + 1] in (["favorite"], ["favourite"]):
                place -= become
                start = max((start for start in range(place) if sentence.breaks[start]), default=0)
                while start < place and words[start] in v.FILLERS:
                    start += 1
                if start >= place or not is_stated(sentence, start, place):
                    return
                topic = phrase(sentence, at + 1, most=3)
                value = phrase(sentence, start, most=5)
                if (
                    topic
                    and value
                    and value[1] == place
                    and is_thing(sentence, value)
                    and words[topic[0]] not in v.NOT_FAVOURITES
                ):
                    tail = words[topic[1] : topic[1] + 1]
                    if not tail or sentence.breaks[topic[1]] or tail[0] in _AFTER_FAVOURITES:
                        yield Found(
                            "favourite",
                            value,
                            topic=topic_of(words[topic[0] : topic[1]]),
                            polarity="affirmed",
                            end=topic[1],
                        )
            return
