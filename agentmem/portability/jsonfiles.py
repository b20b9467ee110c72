"""JSON from strangers, read as a stream and within bounds."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NoReturn

from agentmem.errors import InvalidInput

MAX_LINE_BYTES: Final = 1 << 20
MAX_ITEM_CHARACTERS: Final = 32 << 20
"""Longest element of a JSON array, and longest file that is one JSON object: a very long conversation."""
MAX_DEPTH: Final = 32

_CHUNK: Final = 1 << 20
_MAX_DIGITS: Final = 100


def parse(text: str) -> Any:
    """The JSON value in a text.

    Raises:
        InvalidInput: not JSON, nested too deep, or a number that JSON does not have (NaN, Infinity).
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"not JSON: {error.msg} at character {error.pos}.") from None
    except RecursionError:
        raise _too_deep() from None
    require_depth(value)
    return value


def require_depth(value: Any) -> None:
    """Raise InvalidInput if lists and objects are nested deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for holder in level
            if isinstance(holder, dict | list)
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _too_deep()


def lines(file: BinaryIO, *, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str | InvalidInput]]:
    """(number from 1, text) of every line that is not blank; an InvalidInput in place of one that cannot be read."""
    number = 0
    while raw := file.readline(limit + 1):
        number += 1
        if len(raw) > limit:
            _skip_line(file, raw)
            yield number, InvalidInput(f"the line is longer than {limit:,} bytes.")
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            yield number, InvalidInput(f"not UTF-8 at byte {error.start} of the line.")
            continue
        if text.strip():
            yield number, text


def array_items(file: BinaryIO, *, limit: int = MAX_ITEM_CHARACTERS) -> Iterator[Any]:
    """The elements of a file that is one JSON array, one at a time.

    Raises:
        InvalidInput: where the file stops being an array; the elements before it were given.
    """
    stream = _Stream(file, limit)
    if stream.peek() != "[":
        raise InvalidInput("the file is no JSON array.")
    stream.skip()
    separators = ""
    while (mark := stream.peek(separators)) != "]":
        if not mark:
            raise InvalidInput("the file ends before its array does.", hint="Was it copied whole?")
        value = stream.take()
        require_depth(value)
        yield value
        separators = ","


def whole(file: BinaryIO, *, limit: int = MAX_ITEM_CHARACTERS) -> Any:
    """The value of a file that is one JSON value.

    Raises:
        InvalidInput: larger than the limit, not UTF-8, not JSON.
    """
    raw = file.read(limit + 1)
    if len(raw) > limit:
        raise InvalidInput(f"the file is one JSON value of more than {limit:,} bytes.", hint="Write it as JSONL.")
    return parse(decoded(raw))


def decoded(raw: bytes) -> str:
    """The text of UTF-8 bytes, or InvalidInput naming the byte."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"not UTF-8 at byte {error.start}.") from None


class _Stream:
    """Text that is read only as far as the next value needs."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._read = 0
        self._ended = False

    def peek(self, separators: str = "") -> str:
        """The next character that is neither white space nor (once) a separator; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in " \t\r\n":
                self._at += 1
            if self._at == len(self._text):
                if self._ended:
                    return ""
                self._more(_CHUNK)
            elif separators and self._text[self._at] in separators:
                self._at += 1
                separators = ""
            elif separators and self._text[self._at] != "]":
                raise InvalidInput(f"not JSON: a comma is missing before {self._text[self._at]!r}.")
            else:
                return self._text[self._at]

    def skip(self) -> None:
        self._at += 1

    def take(self) -> Any:
        """The value that begins here. What is incomplete is tried again with twice as much text."""
        wanted = _CHUNK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise InvalidInput(f"not JSON: {error.msg}.") from None
            except RecursionError:
                raise _too_deep() from None
            else:
                # A number that reaches the end of the text may go on behind it.
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            if len(self._text) - self._at > self._limit:
                raise InvalidInput(
                    f"an element is longer than {self._limit:,} characters, or the file is broken there."
                )
            self._more(wanted)
            wanted *= 2

    def _more(self, size: int) -> None:
        raw = self._file.read(size)
        self._ended = not raw
        try:
            text = self._decoder.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            raise InvalidInput(f"not UTF-8 near byte {self._read + error.start}.") from None
        self._read += len(raw)
        self._text = self._text[self._at :] + text
        self._at = 0


def _skip_line(file: BinaryIO, raw: bytes) -> None:
    while raw and not raw.endswith(b"\n"):
        raw = file.readline(_CHUNK)


def _no_such_number(name: str) -> NoReturn:
    raise InvalidInput(f"{name} is no JSON number.")


def _too_deep() -> InvalidInput:
    return InvalidInput(f"nested deeper than {MAX_DEPTH} levels.")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise InvalidInput(f"a number of {len(digits):,} digits.")
    return int(digits)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_such_number, parse_int=_integer)
