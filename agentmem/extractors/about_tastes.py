"""Rules for what people like, have and speak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence
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


def is_into(clause: Clause) -> Iterator[Found]:
    yield from tastes(clause, clause.verb + 1)


def fond(clause: Clause) -> Iterator[Found]:
    if place := follows(clause, "of", "with", "about", "on"):
        yield from tastes(clause, place)


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
    if not (words[place : place + 1] and words[place] in ("a", "an", "my", "our", "two", "our")):
        return
    found = phrase(sentence, place, most=5)
    if found is None or not is_thing(sentence, found):
        return
    is_model = all(sentence.text[sentence.starts[at]].isupper() or words[at].isdigit() for at in range(*found))
    is_capital = sentence.is_capital(found[0]) or sentence.is_capital(found[1] - 1)
    is_brand = (
        is_capital and (branded or (is_model and words[found[0]] in v.GOODS)) and words[found[1] - 1] not in _NO_GOODS
    )
    if words[found[1] - 1] not in v.GOODS and not is_brand:
        return
    if _GIFT.match(sentence.low, sentence.ends[found[1] - 1], sentence.end):
        return
    start = found[0]
    while start < found[1] - 1 and words[start] in _PRAISED:
        start += 1
    yield Found("belonging", (start, found[1]), polarity=polarity)


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


def drives(clause: Clause) -> Iterator[Found]:
    if clause.who != "they" and not re.search(r"\bfor (?:a living|work)\b", clause.sentence.rest(clause.verb)):
        yield from goods(clause.sentence, clause.verb + 1, branded=True)


def sold(clause: Clause) -> Iterator[Found]:
    if (
        not clause.negated
        and clause.who != "they"
        and clause.sentence.words[clause.verb + 1 : clause.verb + 2] in (["my"], ["our"])
    ):
        yield from goods(clause.sentence, clause.verb + 1, "ended")


def speaks(clause: Clause) -> Iterator[Found]:
    place = clause.verb + 1
    words = clause.sentence.words
    while words[place : place + 1] and words[place] in (
        "fluent",
        "some",
        "a",
        "little",
        "good",
        "decent",
        "in",
        "basic",
        "both",
        "only",
        "bit",
        "of",
        "native",
        "conversational",
    ):
        place += 1
    for found in items(clause.sentence, place):
        if words[found[1] - 1] in v.LANGUAGES and found[1] - found[0] <= 3:
            yield Found("language", (found[1] - 1, found[1]))


def favourite(clause: Clause, words: list[str]) -> Iterator[Found]:
    at = next(place for place, word in enumerate(words) if word in ("favorite", "favourite"))
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


def is_favourite(sentence: Sentence) -> Iterator[Found]:
    """Reads "Blue is my favourite color": the value stands first."""
    words = sentence.words
    for place in range(1, min(len(words) - 2, 8)):
        if words[place] in ("is", "are") and words[place + 1] == "my" and not any(sentence.breaks[1 : place + 2]):
            at = place + 2 + (words[place + 2] in ("all-time", "absolute"))
            if words[at : at + 1] in (["favorite"], ["favourite"]):
                topic = phrase(sentence, at + 1, most=3)
                value = phrase(sentence, 0, most=5)
                if (
                    topic
                    and value
                    and value[1] == place
                    and is_thing(sentence, value)
                    and words[topic[0]] not in v.NOT_FAVOURITES
                ):
                    tail = words[topic[1] : topic[1] + 1]
                    if not tail or sentence.breaks[topic[1]] or tail[0] in ("and", "but", "of", "ever"):
                        yield Found(
                            "favourite",
                            value,
                            topic=topic_of(words[topic[0] : topic[1]]),
                            polarity="affirmed",
                            end=topic[1],
                        )
            return
