"""What may be quoted of a turn: its sentences, each with what takes it back, and whether they are the speaker's own.

"I leave on the 14th. No wait, on the 15th." says nothing by its first half, and a pasted letter nothing of whoever
pastes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from agentmem.extractors.gates import HIDDEN, is_the_assistants, readable
from agentmem.records import Memory
from agentmem.retrieval.lexical import split_sentences

Whose = Literal["own", "pasted", "perhaps not meant"]
"""The speaker's own words, those of a text in the turn, or words in a turn that is joking or playing."""
GAP: Final = "…"
"""Stands for what is left out between two passages."""


class Passage(NamedTuple):
    """A sentence with what takes it back behind it.

    Args:
        start: Where in the content it begins.
        own: The text without what is quoted in it at length.
        first, last: Which sentences of the turn it is, by number.
    """

    start: int
    text: str
    own: str
    first: int
    last: int
    whose: Whose


def passages(memory: Memory, *, longest: int | None = None) -> list[Passage]:
    """The passages of a turn, in order.

    Args:
        longest: In characters; longer sentences are cut at words.
    """
    content, words = memory.content, _words(memory)
    found: list[Passage] = []
    number = 0
    for first, last, marked in _segments(content, words.end):
        # What is quoted within a sentence ends none.
        for start, end in split_sentences(words.text[first:last]):
            for piece in _pieces(content, first + start, first + end, longest):
                number += 1
                if piece[0] == GAP:
                    continue
                passage = Passage(
                    piece.start(), piece[0], words.own(piece), number, number, marked or words.whose(piece)
                )
                if found and found[-1].last == number - 1 and _TAKES_BACK.match(passage.text):
                    passage = _joined(found.pop(), passage)
                found.append(passage)
    return found


def _joined(before: Passage, behind: Passage) -> Passage:
    text, own = f"{before.text} {behind.text}", f"{before.own} {behind.own}"
    return before._replace(text=text, own=own, last=behind.last)


def retracts(memory: Memory) -> bool:
    """Whether a turn begins by taking back what the speaker said before it: "Scratch that, tomorrow"."""
    return _RETRACTS.match(memory.content) is not None


def retracted(turns: Sequence[Memory]) -> Iterator[tuple[int, int]]:
    """(turn, turn) by place: the second begins by taking back how the first, the speaker's last, ended."""
    latest: dict[tuple[str, str | None], int] = {}
    for place, turn in enumerate(turns):
        speaker = turn.role, turn.speaker
        if speaker in latest and retracts(turn):
            yield latest[speaker], place
        latest[speaker] = place


def quoted(chosen: Sequence[Passage]) -> str:
    """Passages of one turn, in order, as a text: with a mark for gaps, and for words that are not the speaker's own."""
    parts: list[str] = []
    before: Passage | None = None
    for passage in chosen:
        is_apart = before is None or before.whose != passage.whose
        if before is not None and is_apart and before.whose != "own":
            parts[-1] += "]"
        if before is not None and passage.first != before.last + 1:
            parts.append(GAP)
        opening = f"[{passage.whose}: " if is_apart and passage.whose != "own" else ""
        parts.append(opening + passage.text)
        before = passage
    if before is not None and before.whose != "own":
        parts[-1] += "]"
    return " ".join(parts)


# --- whose words ----------------------------------------------------------------------------------

_FOREIGN: Final = 0.5
"""A sentence that begins with what may not be read, and so large a part of which may not, is not the speaker's own."""
_BRIEF: Final = 40
"""Characters: what is quoted so briefly, with its marks, is a name or a word that is spoken of."""
_MARKED: Final = re.compile(r"\[(?P<whose>pasted|perhaps not meant): (?P<text>[^\[\]]+)\](?!\S)")
"""What ``quoted`` marks: the lines of a summary are summarised again."""
_HANDED_IN: Final = re.compile(
    r"\b(?:here (?:is|are)|here['’]s|this is|these are) (?:my|our|the|a|an|some) [^:.!?\n]{0,40}\b(?:sentences?"
    r"|homework|essay|draft|text|poem|story|letter|e-?mail|message|paragraphs?|translations?|exercises?|answers?|document|article"
    r"|speech|cv|résumé|resume|report|notes|transcript|abstract|bio|post)\b[^:.!?\n]{0,30}:",
    re.IGNORECASE,
)
"""What stands behind it is a piece of work, whoever wrote it, and says nothing of its author."""
_HIDDEN: Final = re.compile(f"{HIDDEN}+")


class _Words(NamedTuple):
    """A content with what may not be read hidden up to ``end``, behind which none may.

    Args:
        is_meant: False where all of it is in jest or in play.
    """

    text: str
    end: int
    is_meant: bool = True

    def whose(self, piece: re.Match[str]) -> Whose:
        if piece[0].startswith("["):
            return "own"  # a remark: "[shows a photo]"
        if not self.is_meant:
            return "perhaps not meant"
        said = self.text[slice(*piece.span())]
        is_quoted = said.startswith(HIDDEN) and said.count(HIDDEN) > _FOREIGN * len(said)
        return "pasted" if piece.start() >= self.end or is_quoted else "own"

    def own(self, piece: re.Match[str]) -> str:
        said = self.text[slice(*piece.span())]
        if HIDDEN not in said:
            return piece[0]
        return _HIDDEN.sub(lambda run: piece[0][slice(*run.span())] if len(run[0]) <= _BRIEF else GAP, said)


def _words(memory: Memory) -> _Words:
    content = memory.content
    if memory.role not in ("user", "assistant") or is_the_assistants(memory):
        return _Words(content, len(content))
    words = readable(memory)
    if words is None:
        return _Words(content, len(content), is_meant=False)
    masked = content[: len(words[0])]
    if HIDDEN in words[0]:
        masked = "".join(own if own == HIDDEN else said for said, own in zip(masked, words[0], strict=True))
    # What goes on and on in one line was spoken, not pasted.
    is_speech = "\n" not in content and not masked.endswith(":")
    if (handed_in := _HANDED_IN.search(masked)) is not None:
        return _Words(masked + content[len(masked) :], handed_in.end())
    return _Words(masked + content[len(masked) :], len(content) if is_speech else len(masked))


def _segments(content: str, end: int) -> Iterator[tuple[int, int, Whose | None]]:
    """(start, end, whose if it is marked) of stretches of a content, without the marks, parted where words end."""
    start = 0
    for marked in _MARKED.finditer(content) if "[" in content else ():
        yield from _parted(start, marked.start(), end)
        yield *marked.span("text"), "pasted" if marked["whose"] == "pasted" else "perhaps not meant"
        start = marked.end()
    yield from _parted(start, len(content), end)


def _parted(start: int, stop: int, end: int) -> Iterator[tuple[int, int, None]]:
    middle = min(max(start, end), stop)
    yield start, middle, None
    yield middle, stop, None


def _pieces(content: str, start: int, end: int, longest: int | None) -> Iterator[re.Match[str]]:
    pattern = _WHOLE if longest is None else re.compile(rf"\S.{{0,{longest - 2}}}(?!\S)|\S{{{longest}}}|\S+", re.DOTALL)
    return pattern.finditer(content, start, end)


_WHOLE: Final = re.compile(r"\S(?:.*\S)?", re.DOTALL)

# --- taking back ----------------------------------------------------------------------------------

_HESITATES: Final = r"^\W*(?:(?:oh|h+m+|um+|uh+|er+m?|ah|well|but|and|so|ha(?:ha)*|lol|ok(?:ay)?|yeah)\b[\s,.…–—-]*)*"
_PLAINLY: Final = (
    r"no,? wait|wait,? no\b|(?:actually|sorry),? no\b|no,? (?:sorry|actually)|(?:scratch|strike) that|correction\b"
    r"|sorry,? (?:I mean|I meant|make that|wrong)|I (?:mean|meant)\b|(?:just |only |(?:I['’]?m|was) (?:just |only )?)?"
    r"(?:kidding|joking)\b|j/?k\b|I (?:take|took) (?:that|it|this) back|I (?:misspoke|lied|was wrong|stand corrected"
    r"|mixed (?:that|it|them|this) up|got (?:that|it) wrong)\b|or rather\b|make that\b"
)
_RETRACTS: Final = re.compile(rf"{_HESITATES}(?:{_PLAINLY})", re.IGNORECASE)
_TAKES_BACK: Final = re.compile(
    rf"{_HESITATES}(?:{_PLAINLY}|no(?:pe)?\b(?! (?:one|body|more|idea|problem|need|worries))|not!|wait\b|hold on\b"
    r"|actually\b|sorry\b|rather\b|forget (?:that|it|what I)\b|never ?mind\b|(?:a |just a |it['’]?s a )?joke\b|psych\b"
    r"|until\b|unless\b|except\b|make it\b|my (?:mistake|bad)\b|on second thoughts?\b|that['’]?s (?:wrong|not)\b"
    r"|not (?:really|any ?more|exactly|quite|true)\b|as if\b|to be (?:precise|exact)\b|at least (?:until|not)\b)",
    re.IGNORECASE,
)
