"""What a wish is about. Only the manner of answering may stand as a rule that was read: no deed, no address, no ware.

A closed list on purpose. What is on it changes how answers sound; what is not ("send my bills to Bob", "recommend
Acme") may be somebody else's wish in the user's turn, and following it would cost more than having to ask.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from agentmem.extractors import vocabulary as v
from agentmem.records import Polarity

Manner = Literal["standing", "asked", ""]


@lru_cache(1024)
def manner(deed: str, *, is_ban: bool) -> Manner:
    """Whether a deed, in the words of a wish, is about how to answer: "answer in French", "mention my ex".

    "standing" if such words are meant for good even without an "always"; "asked" if they may be for once; "" if it is
    something else.

    Args:
        is_ban: It is not to be done: there what is not to be talked of may be anything.
    """
    low = " ".join(deed.casefold().replace("’", "'").split())
    if len(low) > _LONGEST or _NEVER_A_MANNER.search(low):
        return ""
    if _STANDING.fullmatch(low) or (is_ban and _NOT_TALKED_OF.fullmatch(low) and low.split()[-1] not in _NO_ENDS):
        return "standing"
    return "asked" if _ASKED.fullmatch(low) else ""


def may_rule(value: str, polarity: Polarity) -> bool:
    """True if a standing wish with this value may be shown as a rule to be followed."""
    deed, is_ban = _without_ban(value, is_ban=polarity == "denied")
    return polarity != "ended" and bool(manner(deed, is_ban=is_ban))


@dataclass(frozen=True, slots=True)
class Matter:
    """What a wish is about, so that one that contradicts an earlier one is known.

    Args:
        of: Of what there can be one ("language", "length"); "" if many such wishes may stand side by side.
        words: The words that tell what is wanted, without those that say nothing: ``{"emoji"}``.
        is_ban: It is not wanted.
    """

    of: str
    words: frozenset[str]
    is_ban: bool

    def withdraws(self, other: Matter) -> bool:
        """True if whoever wants this no longer wants the other."""
        if self.is_ban != other.is_ban:
            return bool(self.words) and self.words == other.words
        return not self.is_ban and bool(self.of) and self.of == other.of and self._excludes(other)

    def lifts(self, other: Matter) -> bool:
        """True if the other is over once this one is no longer wanted."""
        return self.is_ban == other.is_ban and bool(self.words) and self.words <= other.words

    def _excludes(self, other: Matter) -> bool:
        if self.of != "length":
            return self.words != other.words
        mine, theirs = (("long" if _LONG.isdisjoint(each.words) else "short") for each in (self, other))
        return mine != theirs or (_has_number(self.words) and _has_number(other.words))


@lru_cache(1024)
def matter(value: str, polarity: Polarity) -> Matter:
    """What an ``instruction`` with this value is about."""
    deed, is_ban = _without_ban(value, is_ban=polarity == "denied")
    low = " ".join(deed.casefold().replace("’", "'").split())
    said = [_singular(word) for word in _WORD.findall(low)]
    words = frozenset(said[1:]) - _SAYS_NOTHING or frozenset(said[1:])
    of = next((name for name, pattern in _ONE_OF.items() if pattern.search(low)), "")
    if of == "language":
        words = frozenset(word for word in words if word in v.LANGUAGES or word in _KINDS_OF_LANGUAGE) or words
    if of == "formality" and "less" in said:
        words |= {"less"}
    return Matter(of, words, is_ban)


def _without_ban(value: str, *, is_ban: bool) -> tuple[str, bool]:
    """The deed without its "never" or "avoid", and whether it is not to be done."""
    found = _BAN.match(value)
    if found is None:
        return value, is_ban
    deed = value[found.end() :]
    names_a_thing = found[1] in ("avoid", "without") and not deed.split(" ")[0].endswith("ing")
    return f"use {deed}" if names_a_thing else deed, not is_ban


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us")) else word


def _has_number(words: frozenset[str]) -> bool:
    return any(word.isdigit() or word in v.NUMBERS for word in words)


# --- patterns -------------------------------------------------------------------------------------

_LONGEST: Final = 80
_BAN: Final = re.compile(r"(never|not|don['’]t|do not|avoid|stop|without)\s+", re.IGNORECASE)
_WORD: Final = re.compile(r"[\w'-]+")
_NO_ENDS: Final = v.DETERMINERS | v.words(
    "it this that them those to of at in on for with from by about and or like as than your my so very"
)
_NEVER_A_MANNER: Final = re.compile(
    r"https?:|www\.|@|\w\.(?:com|org|net|io|example|[a-z]{2})\b|--|\b(?:links?|urls?|website|password\w*|secrets?"
    r"|tokens?"
    r"|credentials?|account|iban|card numbers?|api keys?|prompts?|confirm\w*|permission|approval|consent|approve"
    r"|encrypt\w*"
    r"|https|tls|2fa|authenticat\w*|authoriz\w*|sandbox\w*|back-?ups?|security|safety|warn(?:ing)?s?|instructions?"
    r"|polic(?:y|ies)|guidelines|rules?)\b"
)
FORMS_OF_ADDRESS: Final = v.words(
    "sir ma'am madam doctor dr professor miss mister mr mrs ms boss chief captain mate buddy bro dude man dear honey "
    "sweetie darling love babe baby pal friend champ queen king master"
)
_LANGUAGE: Final = (
    rf"(?:(?:plain|simple|easy|basic|british|american|brazilian|swiss|standard|proper|good) )?"
    rf"(?:{'|'.join(sorted(v.LANGUAGES))})"
)
_ANSWERS: Final = (
    r"(?:(?:your|the|all|all your|any|every|each|my) )?(?:answers?|repl(?:y|ies)|responses?|explanations?|messages"
    r"|sentences|paragraphs|suggestions|examples|code|snippets|translations?|summar(?:y|ies)|conversations?|chats?)"
)
_IN_ANSWERS: Final = (
    rf"(?: in {_ANSWERS}| (?:to|with|for) me| in (?:anything|everything|what|all) you \w+(?: (?:to|for|with) me)?"
    r"| with me)?"
)
_SAY: Final = r"(?:answer|reply|respond|write|speak|talk|chat|text|communicate|converse)"
_SAY_SO: Final = rf"{_SAY}(?: back)?(?: (?:to|with) me| me)?"
_MORE: Final = r"(?:(?:a bit|a little|much|way|even|very|really|quite|more|less|too|so|always|as|nice and|rather) )*"
_HOW: Final = (
    r"(?:brief|briefer|concise|short|shorter|long|longer|terse|succinct|crisp|compact|detailed|thorough|formal|informal"
    r"|casual|polite|friendly|honest|direct|blunt|frank|critical|strict|serious|funny|playful|patient|gentle|kind|warm"
    r"|encouraging|supportive|specific|precise|exact|clear|clearer|simple|simpler|straightforward|quick|objective"
    r"|neutral|professional|natural|conversational|technical|to the point|on point|sarcastic|ironic|chatty|verbose"
    r"|wordy|preachy|judgmental|patronising|patronizing|condescending|enthusiastic|dramatic|repetitive|cheerful)"
)
_HOWLY: Final = (
    r"(?:briefly|concisely|shortly|succinctly|formally|informally|casually|politely|honestly|directly|bluntly|frankly"
    r"|simply|clearly|slowly|precisely|plainly|kindly|in detail|in depth|at length|step by step)"
)
_NUMBER: Final = rf"(?:\d{{1,4}}|a|an|one|{'|'.join(sorted(v.NUMBERS))}|fifty|hundred|a hundred|two hundred|few|a few)"
_COUNTED: Final = r"(?:words?|sentences?|lines?|paragraphs?|characters?|bullet points?|bullets|points)"
_SIZE: Final = (
    rf"(?:(?:(?:in|with|under|below|within|to|of|at most|up to|no more than|(?:in )?(?:less|fewer) than"
    rf"|(?:a )?max(?:imum)?"
    rf" of|just|only|a single) )+{_NUMBER}? ?(?:(?:short|simple|full|complete|single) )?{_COUNTED}(?: (?:max|or less"
    r"|or fewer|at most|each))?)"
)
_LOOK: Final = (
    r"(?:emojis?|emoticons?|smileys?|bullet ?points?|bullets|bulleted lists?|lists?|numbered lists?|tables?|markdown"
    r"|headings?"
    r"|headers|headlines|bold(?: text)?|italics|code blocks?|jargon|slang|exclamation (?:marks?|points?)|abbreviations?"
    r"|acronyms?|hashtags?|filler(?: words)?|fillers|metaphors?|analog(?:y|ies)|idioms|buzzwords|clich[eé]s?"
    r"|corporate speak|superlatives|(?:em |em-)?dashes|semicolons|parentheses|footnotes|quotation marks|ellipses"
    r"|lower ?case|upper ?case|capital letters|capitals|all caps|caps|plain text|plain language|simpler? words"
    r"|(?:the )?(?:informal |formal )?['‘]?(?:du|sie|tu|vous|usted|tú)['’]?"
    r"|simple language|easy words|(?:short|shorter|long|full|complete|simple) (?:sentences|paragraphs|words)|prose"
    r"|passive voice|humou?r|sarcasm|irony|puns|jokes|swear words|profanity|curse words|foul language|gifs|ascii art"
    r"|rhymes?|haikus?|rhetorical questions|first names?|(?:formal|informal|polite|casual|friendly|gender-neutral"
    r"|neutral"
    r"|professional) (?:language|tone|style)|(?:a|an) (?:formal|informal|polite|casual|friendly|neutral|professional"
    r"|warm|serious) (?:tone|style)|tabs|spaces|type hints|comments|json|html|yaml|latex|citations?|sources|references"
    r"|examples|pronouns|pet names|nicknames|(?:they/them|she/her|he/him|they|she|he)(?: pronouns)?(?: for me)?)"
)
_UNITS: Final = (
    r"(?:metric|imperial|si|us)(?: units| measurements| system| measures)?|the (?:metric|imperial) system|metric units"
    r"|celsius|fahrenheit|kelvin|kilomet(?:er|re)s|km|miles|met(?:er|re)s|feet|inches|centimet(?:er|re)s|kilos"
    r"|kilograms"
    r"|kg|grams|pounds|ounces|cups|lit(?:er|re)s|gallons|euros?|dollars?|pounds|yen|francs|usd|eur|gbp|chf"
    r"|(?:24|12)[- ]?h(?:our)?s?(?: (?:time|format|clock|times))?|iso(?: 8601)?(?: dates?| format)?"
    r"|degrees (?:celsius|fahrenheit)|utc|my (?:local )?time ?zone|local time"
)
_MEASURES: Final = (
    r"(?:(?:all|the|any|your) )?(?:distances?|prices?|temperatures?|weights?|dates?|times?|amounts?|measurements?"
    r"|measures"
    r"|numbers?|units|costs?|lengths?|heights?|speeds?|quantities|sizes|volumes|money|figures)"
)
_SHOWN: Final = (
    r"(?:(?:me )?(?:your |the |all |your |a |an |some |at least one |one )?(?:short |brief |quick |final |concrete )?"
    r"(?:sources?|references?|citations?|examples?|code|page numbers?|units|prices?|calories|cooking times?"
    r"|pronunciations?|translations?|summar(?:y|ies)|tl;?dr|reasoning|steps|comments|answer|result|alternatives"
    r"|pros and cons|conclusion|key points?|vocabulary|transliterations?)"
    r"(?: (?:first|last|at the (?:top|end|start|beginning|bottom)))?)"
)
_SOMEHOW: Final = (
    rf"(?:{_HOWLY}|in {_LANGUAGE}|in {_MORE}(?:simple|plain|easy|layman's|short|clear) (?:terms|words|language"
    rf"|sentences"
    rf"|steps)|(?:in|as|with|using) (?:a |an )?{_LOOK}|{_SIZE}|in {_MORE}{_HOW} {_COUNTED}"
    rf"|(?:in|with) (?:a |an )?{_MORE}{_HOW} (?:tone|style|way|manner|voice|language)|{_MORE}{_HOWLY}"
    r"|in (?:verse|points|steps|full|short|the (?:first|second|third) person)|with (?:yes or no|a single word|one word)"
    r"|like i(?:'m| am) (?:five|5|a (?:child|beginner|kid)))"
)
_STANDING: Final = re.compile(
    rf"{_SAY_SO}(?: only)? {_SOMEHOW}(?: only)?{_IN_ANSWERS}|(?:only )?speak (?:only )?{_LANGUAGE}{_IN_ANSWERS}"
    rf"|keep (?:{_ANSWERS}|it|things|everything|that) {_MORE}(?:{_HOW}(?: and {_HOW})?|{_SIZE}|in {_LANGUAGE})"
    rf"|limit {_ANSWERS} {_SIZE}"
    rf"|(?:use|write in|prefer) (?:(?:lots of|a lot of|more|fewer|less|many|so many|so much|any|too many|some|only|just"
    rf"|the|plenty of) )*{_LOOK}(?:(?: or| and|,|/) {_LOOK}){{0,2}}{_IN_ANSWERS}"
    rf"|use (?:only )?(?:the )?(?:{_UNITS})(?: (?:for|with) {_MEASURES})?{_IN_ANSWERS}"
    rf"|use (?:{_LANGUAGE}|(?:british|american) (?:english|spelling))(?: spelling)?{_IN_ANSWERS}"
    rf"|use my (?:first |last |full |real )?name{_IN_ANSWERS}"
    rf"|(?:give|show|state|write|express|list|convert|quote|tell me) (?:me )?{_MEASURES} (?:in|using|as) (?:{_UNITS})"
    rf"|(?:write|give|use) (?:me )?{_MORE}{_HOW} (?:answers|replies|responses|explanations|sentences|paragraphs"
    rf"|messages)"
    rf"|be {_MORE}{_HOW}(?:(?:,| and) {_MORE}{_HOW})?{_IN_ANSWERS}"
    rf"|address me (?:as [\w. ]{{2,30}}|formally|informally|by (?:my )?(?:first |last )?name|with (?:my"
    rf"|your) [\w ]{{2,20}})"
    r"|correct my (?:mistakes|errors|grammar|spelling|pronunciation|[a-z]+)"
    rf"|explain (?:things|everything|it all|concepts|words|terms|(?:the )?grammar|your reasoning|your answers"
    rf"|the steps)"
    rf"(?: to me)?(?: {_SOMEHOW})?|give (?:me )?(?:the )?(?:examples|explanations|answers|feedback) {_SOMEHOW}"
    rf"|ask me (?:first|before [\w ,']{{3,60}})"
)
_ASKED: Final = re.compile(
    rf"(?:cite|show|give|add|include|name|list|mention|quote|provide) {_SHOWN}{_IN_ANSWERS}"
    rf"|(?:put|place) (?:a |the |your )?(?:short |brief )?(?:summary|answer|conclusion|result|code|sources"
    rf"|key points?) "
    r"(?:first|last|at the (?:top|end|start|beginning|bottom)|in bold)"
    rf"|(?:start|begin|end|finish|close)(?: {_ANSWERS})? with (?:a|an|the|your) (?:short |brief |quick |follow-up "
    rf"|one-line )?"
    r"(?:summary|question|greeting|joke|answer|conclusion|tl;?dr|example|overview|quote|haiku)"
    rf"|explain {_SOMEHOW}|explain [\w' ]{{2,30}} {_SOMEHOW}"
    r"|(?:suggest|recommend|give me|offer)(?: only)? (?:vegan|vegetarian|halal|kosher|gluten-free|dairy-free|nut-free"
    r"|low-carb|cheap|budget|healthy) (?:recipes|options|food|meals|dishes|restaurants|alternatives|ideas)"
    r"|(?:ask|check with) me"
)
_TALKED_OF: Final = r"(?! ?[\"(])[\w'’ ,/&+#().?!-]{2,60}"
_WORDING: Final = r"(?:the )?(?:words?|phrases?|expressions?|term) ['‘]?[\w' -]{2,40}['’]?"
_NOT_TALKED_OF: Final = re.compile(
    rf"(?:mention|bring up|talk (?:to me )?about|speak (?:to me )?(?:of|about)|discuss|refer to|suggest|recommend"
    rf"|propose"
    rf"|comment on|offer me|ask(?: me)? about|remind me (?:of|about)|tell me (?:to|about)|address me"
    rf"|treat me like"
    rf"|compare me (?:to|with)) {_TALKED_OF}"
    rf"|ask me (?:how i(?:'m| am| feel)\b[\w ]{{0,30}}|(?:(?:any|so many|more|follow-up|personal"
    rf"|too many) )*questions[\w ' ]{{0,40}}"
    r"|to [\w ]{2,40}|if i[\w' ]{2,40})|tell me (?:jokes?|stories)"
    rf"|(?:say|use|repeat|write) (?:{_WORDING}|['‘][\w' ]{{2,40}}['’])(?:{_IN_ANSWERS})|say (?:sorry|please|certainly"
    rf"|absolutely)"
    rf"|use [\w().:!?+#-]{{1,30}}(?: [\w().:!?+#-]{{1,20}})? in (?:your |the )?(?:answers|replies|suggestions"
    rf"|examples|code"
    r"|snippets|recipes|translations|code examples|explanations)"
    rf"|(?:start|begin|end|open|finish)(?: {_ANSWERS})? with {_TALKED_OF}"
    r"|(?:apologi[sz]e|joke|swear|curse|lecture|moralis[es]|moralize|preach|flatter|praise|compliment|interrupt|ramble"
    r"|repeat yourself|repeat me|patroni[sz]e|sugarcoat|gossip|judge|spoil|tease|nag|mock)(?: me| us)?"
    r"(?: so much| all the time| too much| constantly| about [\w' ]{2,40}| every time| anything| things)?"
    r"|make (?:any )?(?:jokes?|puns|fun of me|assumptions|small talk|bad jokes)(?: about [\w' ]{2,40})?"
    rf"|give (?:me )?(?:any )?(?:[a-z]+ )?(?:tips|advice|examples|disclaimers|spoilers|recommendations|suggestions"
    rf"|compliments|pep talks|lectures|opinions|homework|long answers)(?: (?:on|about|for|with|from|in) {_TALKED_OF})?"
    rf"|(?:add|include|write) (?:any |a |an |so many |the )?(?:{_LOOK}|disclaimers?|caveats|summar(?:y|ies)|essays"
    rf"|introductions?|conclusions?|greetings?|signatures?|compliments|apologies){_IN_ANSWERS}"
    rf"|call me (?:an? |your |by )?(?:{'|'.join(sorted(FORMS_OF_ADDRESS))}|(?:pet |nick)?names?|my (?:first|last) name)"
    rf"|{_SAY}(?: to me| me)? like an? [\w ]{{2,30}}"
    r"|(?:correct|translate|summari[sz]e|explain) (?:my [\w ]{2,30}|everything|things|the obvious|the basics|yourself"
    r"|jokes)"
)
_ONE_OF: Final = {
    "language": re.compile(rf"^(?:{_SAY}\b.*\bin|use|(?:only )?speak)(?: only)? {_LANGUAGE}\b|^{_SAY} in {_LANGUAGE}"),
    "length": re.compile(
        rf"\b(?:short|brief|concise|terse|succinct|long|verbose|wordy|detail|detailed|thorough)\w*\b|{_SIZE}"
        rf"|\bin depth\b"
    ),
    "distance": re.compile(r"\b(?:kilomet\w+|km|miles)$"),
    "temperature": re.compile(r"\b(?:celsius|fahrenheit|kelvin)\b"),
    "weight": re.compile(r"\b(?:kilos|kilograms|kg|pounds|ounces)$"),
    "currency": re.compile(r"\b(?:euros?|dollars?|yen|francs|usd|eur|gbp|chf)\b"),
    "clock": re.compile(r"\b(?:12|24)[- ]?h"),
    "units": re.compile(r"\b(?:metric|imperial)\b"),
    "formality": re.compile(r"\b(?:less )?(?:formal|informal|casual)(?:ly)?\b"),
    "case": re.compile(r"\b(?:lower|upper) ?case\b|\b(?:all )?caps\b|\bcapital letters\b"),
    "address": re.compile(r"^address me\b"),
    "indent": re.compile(r"^use (?:tabs|spaces)\b"),
}
"""Matters on which one cannot want two things at once."""
_KINDS_OF_LANGUAGE: Final = v.words("plain simple easy british american brazilian swiss")
_LONG: Final = v.words("long longer verbose wordy detail detailed thorough depth more")
_SAYS_NOTHING: Final = v.DETERMINERS | v.words(
    "me my i you your in of to with for about again any lots lot so many more fewer less much only just the always use "
    "using answer reply response write speak talk word please no not ever anything everything"
)
