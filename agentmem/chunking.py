"""Documents to chunks, by structure: headings first, then paragraphs, sentences and words.

A chunk is an exact slice of the document, so it can be shown in its place; only white space is left out between
chunks. The same document gives the same chunks, and an edit changes only the chunks around it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from agentmem.errors import InvalidInput
from agentmem.interfaces import TokenCounter
from agentmem.records import Document, Source
from agentmem.retrieval.lexical import split_sentences


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a document and where it stands: ``text == document.content[source.start:source.end]``."""

    text: str
    source: Source


def chunk(document: Document, *, max_tokens: int = 256, counter: TokenCounter) -> list[Chunk]:
    """The document in chunks of at most ``max_tokens``, in order; none for a blank document.

    Markdown is cut at its headings (``#`` and underlined), plain text at titles with a rule of ``=``, ``-``, ``*`` and
    the like below them that is as long; they are recorded as the chunk's path. Front matter goes with the first chunk
    if both fit, else it stands alone; code blocks, tables and list items stay whole where they fit. Paragraphs that fit
    together share a chunk, those that do not are cut into sentences, words, and at last characters, so that only a
    single character that costs more can exceed ``max_tokens``.

    Raises:
        InvalidInput: ``max_tokens`` is below 1.
    """
    if max_tokens < 1:
        raise InvalidInput(f"max_tokens must be at least 1, not {max_tokens}.")
    text = document.content
    sections = _markdown(text) if document.media_type == "text/markdown" else _plain(text)
    budget = _Budget(text, max_tokens, counter)
    spans = [(section.headings, span) for section in sections for span in budget.chunks(section.blocks)]
    if sections[0].is_front_matter:
        spans = _with_front_matter(spans, budget)
    return [
        Chunk(text[start:end], Source(document.name, headings, place, start, end))
        for place, (headings, (start, end)) in enumerate(spans)
    ]


def _with_front_matter(spans: list[_Placed], budget: _Budget) -> list[_Placed]:
    """The spans with the first two as one, if that fits: a title and tags by themselves answer no question."""
    if len(spans) < 2:
        return spans
    (_, (start, _)), (headings, (_, end)), *rest = spans
    return [(headings, (start, end)), *rest] if budget.fits(start, end) else spans


# --- structure ------------------------------------------------------------------------------------

_MAX_HEADING_CHARACTERS: Final = 200

_HEADING: Final = re.compile(r" {0,3}(#{1,6})(?![^ \t])")
_UNDERLINE: Final = re.compile(r" {0,3}(=+|-+)[ \t]*")
_RULE: Final = re.compile(r"([=\-~^\"*+#])\1{2,}")
_FENCE: Final = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")
_ITEM: Final = re.compile(r"[ \t]*(?:[-*+]|\d{1,9}[.)])[ \t]|[ \t]*[>|]")


class _Block(NamedTuple):
    """A span that belongs together; ``lines`` are cut at line ends where they must be, ``prose`` at sentences."""

    start: int
    end: int
    kind: Literal["prose", "lines", "heading"]


@dataclass(slots=True)
class _Section:
    headings: tuple[str, ...] = ()
    blocks: list[_Block] = field(default_factory=list)
    is_front_matter: bool = False


class _Line(NamedTuple):
    """A line without the space behind it, and its span."""

    text: str
    start: int
    end: int


def _lines(text: str) -> list[_Line]:
    lines = []
    start = 0
    for part in text.split("\n"):
        end = start + len(part)
        lines.append(_Line(part.rstrip(), start, end))
        start = end + 1
    return lines


def _plain(text: str) -> list[_Section]:
    """Paragraphs, under titles that a rule of marks stands below; a kind of rule is a level, the first the highest."""
    outline = _Outline()
    levels: dict[str, int] = {}
    for paragraph in _paragraphs(_lines(text)):
        size, style = _titled(paragraph)
        if size:
            title = paragraph[size - 2].text.strip()
            outline.head(levels.setdefault(style, len(levels)), title, _span(paragraph[:size], "heading"))
        if paragraph[size:]:
            outline.add(_span(paragraph[size:], "prose"))
    return outline.sections


def _titled(lines: Sequence[_Line]) -> tuple[int, str]:
    """How many lines the title takes that a paragraph begins with, and the marks below and above it; 0 if none."""
    for size in (2, 3):
        texts = [line.text for line in lines[:size]]
        is_title = len(texts) == size and _RULE.fullmatch(texts[-1]) and len(texts[-2].lstrip()) <= len(texts[-1])
        if is_title and not _RULE.fullmatch(texts[-2]) and (size == 3) == (texts[0] == texts[-1]):
            return size, texts[-1][0] * (size - 1)
    return 0, ""


def _paragraphs(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    paragraph: list[_Line] = []
    for line in lines:
        if line.text:
            paragraph.append(line)
        elif paragraph:
            yield paragraph
            paragraph = []
    if paragraph:
        yield paragraph


def _markdown(text: str) -> list[_Section]:
    outline = _Outline()
    lines = _lines(text)
    at = _front_matter_end(lines)
    if at:
        outline.add(_span(lines[:at], "lines"))
        outline.sections[0].is_front_matter = True
        outline.open_section(())
    while at < len(lines):
        line = lines[at]
        if not line.text:
            at += 1
        elif fence := _FENCE.match(line.text):
            end = _fence_end(lines, at, fence[1])
            outline.add(_span(lines[at:end], "lines"))
            at = end
        elif heading := _HEADING.match(line.text):
            outline.head(len(heading[1]), _title(line.text[heading.end() :]), _span([line], "heading"))
            at += 1
        else:
            end, level = _paragraph_end(lines, at)
            if level:
                title = " ".join(line.text.lstrip() for line in lines[at : end - 1])
                outline.head(level, title, _span(lines[at:end], "heading"))
            else:
                outline.add(_span(lines[at:end], _kind(lines[at:end])))
            at = end
    return outline.sections


def _title(text: str) -> str:
    """A heading's text without the ``#`` that may close it."""
    bare = text.strip()
    opened = bare.rstrip("#")
    return bare if opened and not opened[-1].isspace() else opened.rstrip()


class _Outline:
    """Sections as they open; a heading without text of its own goes with the section that follows."""

    def __init__(self) -> None:
        self.sections = [_Section()]
        self._has_text = False
        self._path: list[tuple[int, str]] = []

    def add(self, block: _Block) -> None:
        self.sections[-1].blocks.append(block)
        self._has_text |= block.kind != "heading"

    def head(self, level: int, title: str, block: _Block) -> None:
        self._path = [(above, name) for above, name in self._path if above < level]
        if title:
            self._path.append((level, title[:_MAX_HEADING_CHARACTERS]))
        self.open_section(tuple(name for _, name in self._path))
        self.add(block)

    def open_section(self, headings: tuple[str, ...]) -> None:
        if self._has_text:
            self.sections.append(_Section(headings))
            self._has_text = False
        else:
            self.sections[-1].headings = headings


def _front_matter_end(lines: Sequence[_Line]) -> int:
    """How many lines the YAML or TOML front matter takes; 0 if there is none."""
    mark = lines[0].text
    if mark not in ("---", "+++"):
        return 0
    ends = ("---", "...") if mark == "---" else ("+++",)
    for number, line in enumerate(lines[1:], start=2):
        if line.text in ends:
            return number
        if not line.text and number == 2:
            return 0  # a rule above a text
    return 0


def _fence_end(lines: Sequence[_Line], at: int, fence: str) -> int:
    """Where a code block ends; one that is never closed ends with the document, as Markdown has it."""
    for number in range(at + 1, len(lines)):
        closing = lines[number].text.lstrip(" \t")
        if len(closing) >= len(fence) and not closing.strip(fence[0]):
            return number + 1
    return len(lines)


def _paragraph_end(lines: Sequence[_Line], at: int) -> tuple[int, int]:
    """Where the paragraph ends, and its level if its last line underlines it as a heading (else 0)."""
    number = at + 1
    while number < len(lines) and lines[number].text:
        text = lines[number].text
        if (rule := _UNDERLINE.fullmatch(text)) and not _ITEM.match(lines[at].text):
            return number + 1, 1 if rule[1][0] == "=" else 2
        if _FENCE.match(text) or _HEADING.match(text):
            break
        number += 1
    return number, 0


def _kind(lines: Sequence[_Line]) -> Literal["prose", "lines"]:
    is_table = len(lines) > 1 and "|" in lines[1].text and not lines[1].text.strip("|:- \t")
    return "lines" if is_table or _ITEM.match(lines[0].text) else "prose"


def _span(lines: Sequence[_Line], kind: Literal["prose", "lines", "heading"]) -> _Block:
    return _Block(lines[0].start, lines[-1].end, kind)


# --- size -----------------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """A span that is not cut, and about how many tokens it costs."""

    start: int
    end: int
    tokens: int


_Span = tuple[int, int]
_Placed = tuple[tuple[str, ...], _Span]
"""The headings above a span, and the span."""
_Cut = Callable[[str, int, int], Iterator[_Span]]


class _Budget:
    """Cuts what is too large and joins what is small."""

    def __init__(self, text: str, max_tokens: int, counter: TokenCounter) -> None:
        self._text = text
        self._max_tokens = max_tokens
        self._counter = counter

    def chunks(self, blocks: Iterable[_Block]) -> Iterator[_Span]:
        """The spans of chunks, in order, without blank lines around them."""
        pieces: list[_Piece] = []
        for block in blocks:
            found = list(self._pieces(block))
            if len(found) > 1:
                # What must be cut starts a chunk, so that what came before stays whole.
                yield from self._joined(pieces)
                pieces = []
            pieces += found
        yield from self._joined(pieces)

    def fits(self, start: int, end: int) -> bool:
        return self._count(start, end) <= self._max_tokens

    def _pieces(self, block: _Block) -> Iterator[_Piece]:
        span = block.start, block.end
        cuts = (_cut_lines, _cut_sentences, _cut_words) if block.kind == "lines" else (_cut_sentences, _cut_words)
        return self._cut(span, cuts)

    def _cut(self, span: _Span, cuts: Sequence[_Cut]) -> Iterator[_Piece]:
        tokens = self._count(*span)
        if tokens <= self._max_tokens or span[1] - span[0] == 1:
            yield _Piece(*span, tokens)
        elif cuts:
            for part in cuts[0](self._text, *span):
                yield from self._cut(part, cuts[1:])
        else:
            # Rarely more characters than tokens; where they are, halves are tried.
            step = min(self._max_tokens, (span[1] - span[0] + 1) // 2)
            for start in range(*span, step):
                yield from self._cut((start, min(start + step, span[1])), ())

    def _joined(self, pieces: Sequence[_Piece]) -> Iterator[_Span]:
        begin = 0
        while begin < len(pieces):
            end, tokens = begin + 1, pieces[begin].tokens
            while end < len(pieces) and tokens + pieces[end].tokens <= self._max_tokens:
                tokens += pieces[end].tokens
                end += 1
            end = self._fitting(pieces, begin, end)
            yield self._trimmed(pieces[begin].start, pieces[end - 1].end)
            begin = end

    def _fitting(self, pieces: Sequence[_Piece], begin: int, end: int) -> int:
        """The largest end, at most the one given, up to which the pieces fit: the space between costs too."""

        def is_too_much(stop: int) -> bool:
            return self._count(pieces[begin].start, pieces[stop - 1].end) > self._max_tokens

        if end - begin == 1 or not is_too_much(end):
            return end
        return max(begin + 1, bisect_left(range(end), True, begin + 1, end, key=is_too_much) - 1)

    def _trimmed(self, start: int, end: int) -> _Span:
        # Pieces begin with text; the indent of their first line is part of code and lists.
        return start, start + len(self._text[start:end].rstrip())

    def _count(self, start: int, end: int) -> int:
        return self._counter.count(self._text[slice(*self._trimmed(start, end))])


def _cut_lines(text: str, start: int, end: int) -> Iterator[_Span]:
    return ((start + line.start, start + line.end) for line in _lines(text[start:end]) if line.text)


def _cut_sentences(text: str, start: int, end: int) -> Iterator[_Span]:
    # In a paragraph a line end is no more than a space.
    flowing = text[start:end].replace("\n", " ")
    return ((start + first, start + last) for first, last in split_sentences(flowing))


def _cut_words(text: str, start: int, end: int) -> Iterator[_Span]:
    return (match.span() for match in _WORD.finditer(text, start, end))


_WORD: Final = re.compile(r"\S+")
