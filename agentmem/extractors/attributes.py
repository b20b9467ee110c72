"""What a fact may be about: a closed registry that programs may extend.

A fact is (subject, attribute, topic, value, polarity). The subject is ``user`` for the person whose words carry no
speaker's name, the speaker's name where there is one, else the third person as named ("Clara", "sister"). The topic
tells apart what an attribute has several of: "color" of ``favourite``, "sister" of ``family``, "dog" of ``pet``.

A single-valued attribute has one value at a time per subject and topic: a new one closes the old one. Others
accumulate: each value has its own life.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from agentmem.errors import InvalidInput

DUE: Final = "due"
"""Key in the metadata of a ``plan`` or ``commitment`` fact: when it is due, ISO 8601 with offset."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing a fact may be about.

    Args:
        name: As facts carry it; lower case.
        single: True if a new value closes the old one.
        affirmed: The fact as a sentence; ``{subject}``, ``{value}`` and, where it has one, ``{topic}`` are filled in.
        denied: Its opposite, that it is not so. ended: that it is no longer so.
        words: Further words that a question about it may use; searched together with the sentence.
        about: What the value is, for people and for a language model that extracts.
        unnamed: That something of it ended and was not named: "{subject} no longer works where they did."; blank = in
            general words.
        counted: True if the value is one of many, and the sentence says "a nurse", "a car".
    """

    name: str
    single: bool
    affirmed: str
    denied: str
    ended: str
    words: str
    about: str
    unnamed: str = ""
    counted: bool = False


def _attribute(
    name: str,
    single: bool,
    affirmed: str,
    denied: str,
    ended: str,
    words: str,
    about: str,
    unnamed: str,
    *,
    counted: bool = False,
) -> Attribute:
    stated = [f"{{subject}} {predicate}" for predicate in (affirmed, denied, ended)]
    return Attribute(name, single, stated[0], stated[1], stated[2], words, about, f"{{subject}} {unnamed}", counted)


_OURS: Final = (
    _attribute(
        "name", True, "is called {value}.", "is not called {value}.", "is no longer called {value}.",
        "name names called", "the name a person goes by",
        "no longer goes by the name they had.",
    ),
    _attribute(
        "age", True, "is {value} years old.", "is not {value} years old.", "is no longer {value} years old.",
        "age old years", "years, in digits",
        "is no longer as old as they were.",
    ),
    _attribute(
        "birthday", True, "has their birthday on {value}.", "does not have their birthday on {value}.",
        "no longer has their birthday on {value}.", "birthday born birth date", "a day: 14 March, or 14 March 1990",
        "no longer has the birthday they had.",
    ),
    _attribute(
        "home", True, "lives in {value}.", "does not live in {value}.", "no longer lives in {value}.",
        "home live lives living city town country residence moved address where", "the place a person lives in",
        "no longer lives where they did.",
    ),
    _attribute(
        "origin", True, "is from {value}.", "is not from {value}.", "is no longer from {value}.",
        "origin from born grew up hometown nationality where", "the place a person comes from or was born in",
        "no longer comes from where they did.",
    ),
    _attribute(
        "employer", True, "works at {value}.", "does not work at {value}.", "no longer works at {value}.",
        "work works working job employer company office where", "the company or institution a person works for",
        "no longer works where they did.",
    ),
    _attribute(
        "job", True, "works as {value}.", "does not work as {value}.", "no longer works as {value}.",
        "work job occupation profession career role title position living what", "what a person does for a living",
        "no longer has the job they had.", counted=True,
    ),
    _attribute(
        "studies", False, "studies {value}.", "does not study {value}.", "no longer studies {value}.",
        "study studies studying student university college school degree course class learn",
        "a subject or a school; not a hobby",
        "no longer studies what they did.",
    ),
    _attribute(
        "family", False, "has a {topic}: {value}.", "has no {topic} {value}.", "no longer has a {topic} {value}.",
        "family relative relatives", "topic: the relation (sister, son, mother, cousin); value: name or number (2)",
        "no longer has a {topic}.",
    ),
    _attribute(
        "partner", True, "is in a relationship with {value}.", "is not in a relationship with {value}.",
        "is no longer in a relationship with {value}.",
        "partner husband wife boyfriend girlfriend spouse married dating date seeing relationship couple fiance",
        "name of the partner, or the word used (wife, boyfriend) where no name is said",
        "is no longer in a relationship with the partner they had.",
    ),
    _attribute(
        "relationship", True, "is {value}.", "is not {value}.", "is no longer {value}.",
        "relationship status marital single married",
        "single, dating, engaged, married, separated, divorced or widowed",
        "no longer has the relationship status they had.",
    ),
    _attribute(
        "pet", False, "has a {topic} called {value}.", "has no {topic} {value}.", "no longer has the {topic} {value}.",
        "pet pets animal animals", "topic: the animal (dog); value: its name, or the animal where no name is said",
        "no longer has the {topic}.",
    ),
    _attribute(
        "health", False, "has {value}.", "does not have {value}.", "no longer has {value}.",
        "health condition illness disease diagnosis diagnosed sick medical suffers injury",
        "an illness, injury or lasting condition",
        "no longer has the condition they had.",
    ),
    _attribute(
        "medication", False, "takes {value}.", "does not take {value}.", "no longer takes {value}.",
        "medication medicine drug pills prescription dose", "a medicine a person takes",
        "no longer takes the medicine they took.",
    ),
    _attribute(
        "allergy", False, "is allergic to {value}.", "is not allergic to {value}.", "is no longer allergic to {value}.",
        "allergy allergies allergic intolerant intolerance food eat avoid",
        "what a person is allergic to or cannot take",
        "no longer has the allergy they had.",
    ),
    _attribute(
        "diet", True, "eats {value}.", "does not eat {value}.", "no longer eats {value}.",
        "diet eat eats food vegetarian vegan meat", "a way of eating: vegetarian, vegan, kosher, gluten-free",
        "no longer eats the way they did.",
    ),
    _attribute(
        "likes", False, "likes {value}.", "dislikes {value}.", "no longer likes {value}.",
        "like likes love loves enjoy enjoys fond favorite prefer hate hates dislike dislikes hobby hobbies interest",
        "what a person likes, loves, enjoys; denied: dislikes, hates",
        "no longer likes what they did.",
    ),
    _attribute(
        "favourite", True, "has as favourite {topic}: {value}.", "does not have as favourite {topic}: {value}.",
        "no longer has as favourite {topic}: {value}.", "favourite favorite best prefer like most",
        "topic: of what (color, band, food); value: the favourite",
        "no longer has the favourite {topic} they had.",
    ),
    _attribute(
        "belonging", False, "owns {value}.", "does not own {value}.", "no longer owns {value}.",
        "own owns have has bought got possession belonging", "a thing of some worth a person owns or has bought: a car",
        "no longer owns what they did.", counted=True,
    ),
    _attribute(
        "plan", False, "plans to {value}.", "does not plan to {value}.", "no longer plans to {value}.",
        "plan plans planning going will intend upcoming trip next future",
        "what a person is going to do, as verb and rest; its date is when it is valid from",
        "no longer has the plan they had.",
    ),
    _attribute(
        "commitment", False, "has promised to {value}.", "has not promised to {value}.",
        "is no longer bound to {value}.", "promise promised commitment agreed deadline due owe will",
        "what a person promised somebody to do, as verb and rest",
        "is no longer bound to what they promised.",
    ),
    _attribute(
        "email", True, "has the e-mail address {value}.", "does not have the e-mail address {value}.",
        "no longer has the e-mail address {value}.", "email e-mail mail address contact", "an e-mail address",
        "no longer has the e-mail address they had.",
    ),
    _attribute(
        "phone", True, "has the phone number {value}.", "does not have the phone number {value}.",
        "no longer has the phone number {value}.", "phone telephone mobile number call contact", "a phone number",
        "no longer has the phone number they had.",
    ),
    _attribute(
        "language", False, "speaks {value}.", "does not speak {value}.", "no longer speaks {value}.",
        "language languages speak speaks fluent tongue learn", "a language a person speaks",
        "no longer speaks the language they did.",
    ),
    _attribute(
        "instruction", False, "wants the assistant to {value}.", "does not want the assistant to {value}.",
        "no longer wants the assistant to {value}.", "instruction rule always never please answer reply style",
        "a standing wish to the assistant, as verb and rest: answer in French",
        "no longer wants the assistant to do as they asked.",
    ),
)  # fmt: skip

_registry: dict[str, Attribute] = {attribute.name: attribute for attribute in _OURS}
ATTRIBUTES: Final[Mapping[str, Attribute]] = MappingProxyType(_registry)
"""Every attribute by name; ``register`` adds to it."""


def register(attribute: Attribute) -> None:
    """Make an attribute known, for extractors of your own; call it where your program starts.

    Raises:
        InvalidInput: a name that is taken by another one, or a sentence without ``{subject}``.
    """
    standing = _registry.get(attribute.name)
    if standing is not None and standing != attribute:
        raise InvalidInput(f"There is an attribute {attribute.name!r} already.", hint="Choose another name.")
    stated = (attribute.affirmed, attribute.denied, attribute.ended)
    for sentence in (*stated, attribute.unnamed) if attribute.unnamed else stated:
        if "{subject}" not in sentence:
            raise InvalidInput(f"Attribute {attribute.name!r}: {sentence!r} lacks {{subject}}.")
    _registry[attribute.name] = attribute


def attribute_of(name: str) -> Attribute:
    """The attribute of that name; one that nobody registered may have several values at a time."""
    known = _registry.get(name)
    if known is not None:
        return known
    stated = f"{{subject}} {name}: "
    return Attribute(
        name, False, f"{stated}{{value}}", f"{stated}not {{value}}", f"{stated}no longer {{value}}", "", ""
    )
