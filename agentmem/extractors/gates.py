"""Which words of a turn the rules may read at all: not what was pasted, quoted, played or meant otherwise."""

from __future__ import annotations

import re
from typing import Final

from agentmem.context.rendering import without_blocks
from agentmem.extractors import vocabulary as v
from agentmem.records import Memory

READ_CHARACTERS: Final = 4000
"""How much of a turn is read: who says more at once is pasting."""
_LONG: Final = 1500
_BLOCK: Final = "<agentmem "
_GENERIC: Final = v.words(
    "claude gemini copilot siri alexa gpt-4 llama mistral bard cortana jarvis helper support assistant ai bot agent "
    "system chatbot model llm tool user function gpt chatgpt"
)

_NOT_MEANT: Final = re.compile(
    r"(?<!\w)/s(?!\w)|\byeah,? right\b|\band i(?:'m| am) the (?:pope|queen|king|easter bunny|tooth fairy|president)\b"
    r"|\b(?:just|only|i'm|im|was) (?:kidding|joking|messing with you|pulling your leg)\b|\bjust a joke\b|\bj/?k\b"
    r"|\bsarcas|\bsaid (?:no one|nobody) ever\b|\bas if!|\bpsych!|(?<=[.!] )not!|\bapril fools?\b|\(not\)"
    r"|🙄|\boh,? sure,|\bsure,? and (?:i|my)\b|\bi lied\b|\bin my dreams\b|\bnot really[.! ]*$|\bha(?:ha)?,? i wish\b"
)
_PLAYED: Final = re.compile(
    r"\b(?:role-?play|roleplay|role-?playing|pretend(?:ing)?|imagine|in character|once upon a time|lyrics?|act(?:ing)?"
    r" as|you are (?:a|an|now|the|chat|my)\b|you're (?:a|an) (?:helpful|expert|ai|assistant|language)|simulate"
    r"|persona\b|act like|playing the (?:role|part)|from the perspective of|in the voice of|my character|the narrator"
    r"|fictional|hypothetical(?:ly)?|for (?:the )?sake of argument|let's say|lets say|(?:song|poem|verse|chorus"
    r"|stanza) (?:goes|that goes)|system prompt|ignore (?:all|any|the|your) (?:previous|prior|above)|example "
    r"(?:sentence|dialogue|conversation)s?|sample (?:sentence|dialogue|conversation|bio|text)s?|test (?:sentence|input"
    r"|data)|suppose)\b|[♪♫🎵🎶]|<\|(?:im_start|system|user)|\[/?inst\]|<<sys>>"
    r"|^\s*(?:#{1,4} ?)?(?:system|instructions?"
    r"|prompt|human|assistant)\s*:|\bwrite\b[^.!?\n]{0,60}\b(?:story|poem|song|monologue|dialogue|scene|screenplay"
    r"|sketch|rap|haiku|limerick|novel|fiction)"
)
_PASTED: Final = re.compile(
    r"\b(?:respond to|reply to|thank|summari[sz]e|rewrite|re-write|proofread|translate|paraphrase|edit|rephrase|reword"
    r"|correct|improve|shorten|polish|fix|analy[sz]e|classify|the following|below|this (?:text|paragraph|email|essay"
    r"|article|letter|sentence|story|passage)|write|draft|compose|generate|create|make)\b[^\n]{0,200}?(?::|\n)|:\s*\n"
)
_DRAFTED: Final = re.compile(
    r"\bdear\b|\bsincerely\b|\b(?:best|kind|warm) regards\b|\bsubject:|\[(?:your|name|date|company|recipient|time)"
    r"|\b(?:here's|here is|below is) (?:a|an|your|the) (?:\w+ ){0,3}(?:draft|e-?mail|letter|message|script|template"
    r"|speech|post|reply|response|version|text|note|story|dialogue|caption|tweet|bio)\b"
)
_QUOTE: Final = re.compile(r"\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|«[^»\n]{1,400}»|(?<!\w)'[^'\n]{12,200}'(?!\w)")
_SPOKEN: Final = re.compile(
    r"\b(?:i|i'm|im|my|me|we|you|your|is|are|was|am|do|don't|have|always|never|it's|he|she|they)\b", re.IGNORECASE
)
_MASKED: Final = re.compile(r"```.{0,4000}?(?:```|\Z)|`[^`\n]{1,200}`|\[[^\]\n]{1,400}\]|https?://\S{1,300}", re.DOTALL)
_QUOTED_LINES: Final = re.compile(r"^[ \t]{0,8}(?:>|\||\$ )[^\n]*|^[^\n]{0,40}(?:[{};]|=>|==)[ \t]*$", re.MULTILINE)
_GREETED: Final = re.compile(r"\s*(?:hi|hello|hey|dear),? (?P<whom>\w+)\s*[,!.\n]")
_LISTED: Final = re.compile(r"^[ \t]{0,8}(?:[-*•–]|\d{1,2}[.)])[ \t]+[^\n]*", re.MULTILINE)
_SPEAKERS: Final = re.compile(r"^[ \t]{0,4}[\w ]{1,20}:[ \t]", re.MULTILINE)
_ASCII_LOWER: Final = {capital: capital + 32 for capital in range(65, 91)} | {0x2019: "'", 0x2018: "'", 0x2BC: "'"}

HIDDEN: Final = "\x00"
"""Stands for each character that must not be read; it ends every phrase."""


def readable(memory: Memory) -> tuple[str, str] | None:
    """The words that may be read, and the same in lower case; None if there are none.

    Both are as long as the turn's content up to where reading stops; what is not to be read is blanked.
    """
    if not _is_a_persons(memory):
        return None
    content = memory.content
    start = 0
    if _BLOCK in content:
        start = len(content) - len(without_blocks(content))
        if _BLOCK in content[start:]:
            return None
    text = _BLANK * start + content[start : start + READ_CHARACTERS]
    low = lowered(text)
    if _NOT_MEANT.search(low) or _PLAYED.search(low) or _is_written_to(memory.scope.user, low):
        return None
    if len(content) - start > _LONG or "\n" in text or ":" in text or ">" in text:
        text = _without_pasted(text, low, is_long=len(content) - start > _LONG)
    if not text.isascii() or '"' in text or "'" in text:
        text = _QUOTE.sub(_hide_speech, text)
    if "`" in text or "[" in text or "http" in text:
        text = _MASKED.sub(_hide, text)
    return text, lowered(text)


def is_the_assistants(memory: Memory) -> bool:
    """True for the words of an assistant that is nobody in particular."""
    return memory.role == "assistant" and not _is_a_persons(memory)


def assistants_words(memory: Memory) -> tuple[str, str] | None:
    """As ``readable``, of an assistant: what it says to the user before and after what it was asked for.

    Drafts, lists, code and quotes are not its own words.
    """
    text = memory.content[:READ_CHARACTERS] if len(memory.content) <= READ_CHARACTERS else ""
    low = lowered(text)
    if not text or _NOT_MEANT.search(low) or _PLAYED.search(low) or _DRAFTED.search(low):
        return None
    if len(_SPEAKERS.findall(text)) > 1:
        return None
    first, last = text.find("\n\n"), text.rfind("\n\n")
    if 0 < first < last:
        text = text[:first] + HIDDEN * (last - first) + text[last:]
    for hidden in (_LISTED, _QUOTED_LINES, _QUOTE, _MASKED):
        text = hidden.sub(_hide, text)
    return text, lowered(text)


def lowered(text: str) -> str:
    """The text in lower case with plain apostrophes, character for character."""
    low = text.lower()
    if len(low) != len(text):
        return text.translate(_ASCII_LOWER)
    return low if low.isascii() else low.replace("’", "'").replace("‘", "'").replace("ʼ", "'")


_BLANK: Final = "\n"


def _is_a_persons(memory: Memory) -> bool:
    named = memory.speaker is not None and memory.speaker.strip().casefold() not in _GENERIC
    return memory.role == "user" or (memory.role == "assistant" and named)


def _is_written_to(user: str | None, low: str) -> bool:
    """True for "Hi Ana, …" in a turn of Ana's: a letter to her that she pasted."""
    greeted = _GREETED.match(low)
    return greeted is not None and greeted["whom"] == (user or "").casefold()


def _without_pasted(text: str, low: str, *, is_long: bool) -> str:
    """Without what follows a request to work on a text, lists and transcripts; of long turns the first lines."""
    pasted = _PASTED.search(low)
    if pasted is not None and (pasted[0][-1] == ":" or len(text) - pasted.end() > 80):
        text = text[: pasted.end()]
    if is_long:
        end = text.find("\n\n")
        text = text[: min(end if end > 0 else _LONG, _LONG)]
    if len(_SPEAKERS.findall(text)) > 1:
        return ""
    text = _QUOTED_LINES.sub(_hide, text)
    return _LISTED.sub(_hide, text) if len(_LISTED.findall(text)) > 1 else text


def _hide(match: re.Match[str]) -> str:
    return HIDDEN * len(match[0])


def _hide_speech(match: re.Match[str]) -> str:
    """A quoted title may be a value; quoted speech is somebody's words, and who knows whose."""
    return _hide(match) if _SPOKEN.search(match[0]) else match[0]
