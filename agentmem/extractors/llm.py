"""Facts by a language model: one short prompt for many turns, and nothing kept that the turns do not say.

What the model says is checked item by item in ``answers``. What keeps it from saying anything is told apart: a model
that is away, or whose budget is used up, is asked again later; turns that it cannot read are asked about in ever
smaller batches until the one that it cannot read stands alone, and only that one is given up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from string import Template
from threading import Lock
from typing import Any, Final

from agentmem.clock import Clock, utc_now
from agentmem.context.rendering import encode
from agentmem.errors import BackendError, ConfigError, RequestRejected
from agentmem.extractors.answers import Piece, Reading, UnusableAnswer, answer_schema, read_answer
from agentmem.extractors.attributes import ATTRIBUTES
from agentmem.interfaces import (
    LLM,
    ExtractedFact,
    ExtractionRequest,
    Extractor,
    Message,
    TokenCounter,
)
from agentmem.lifecycle.asking import Asking
from agentmem.lifecycle.breaker import Breaker
from agentmem.lifecycle.budget import Budget
from agentmem.records import Memory
from agentmem.retrieval.lexical import query_terms
from agentmem.retrieval.timewords import date_words

_DEFAULT_BUDGET: Final = Budget()
_ASKED_AGAIN: Final = frozenset({"malformed", "empty", "oversized", "echoed"})
"""Unusable answers that may well be another one the second time."""
_SHORTEST_CUT: Final = 400
_PROBE: Final = "I live in Lisbon."
_REST_S: Final = 600.0
_MAX_REMEMBERED: Final = 500

Key = tuple[str, int, int, int]
"""What a piece is known by."""


class LLMExtractor(Extractor):
    """Facts that a language model reads from what users said.

    The assistant's words, tools' and other untrusted ones are never shown to it. Every fact cites the words that it
    was read from, and holds no word that they do not.

    Args:
        llm: The model, or its spec; in a manager unset = the manager's ``llm``.
        batch_tokens: Turns that are asked about at once, in tokens; a longer turn is cut.
        waits_s: How long a turn may wait for others to be asked about with it, in seconds; ``flush`` does not wait.
        answer_tokens: Longest answer. timeout_s: Longest wait for one, in seconds.
        budget: What may be spent; once it is, extraction waits.
        spent_file: Keeps what was spent between runs, of one process at a time; unset = each run counts for itself.
        prompt: A prompt of your own; ``$attributes`` in it is filled in.
        counter: Unset = ``agentmem.tokens.default_counter()``.
        clock: Says which day it is, for the budget.
        breaker: Unset = one that opens after 5 failures in a row, for 30 s.

    Raises:
        ConfigError: no model, an option out of range, or a prompt that cannot be used.
    """

    name = "llm"

    def __init__(
        self,
        llm: LLM | str | Mapping[str, Any] | None = None,
        *,
        batch_tokens: int = 2_000,
        waits_s: float = 30.0,
        answer_tokens: int = 4_000,
        timeout_s: float = 60.0,
        budget: Budget = _DEFAULT_BUDGET,
        spent_file: Path | None = None,
        prompt: Path | None = None,
        counter: TokenCounter | None = None,
        clock: Clock = utc_now,
        breaker: Breaker | None = None,
    ) -> None:
        if min(batch_tokens, answer_tokens, timeout_s) <= 0:
            raise ConfigError("extractor: batch_tokens, answer_tokens and timeout_s must be > 0.")
        self._asking = Asking(
            "extractor",
            llm,
            answer_tokens=answer_tokens,
            timeout_s=timeout_s,
            budget=budget,
            spent_file=spent_file,
            counter=counter,
            clock=clock,
            breaker=breaker,
        )
        self._prompt = _read_prompt(prompt)
        self.waits_s = waits_s
        self._batch_tokens = batch_tokens
        self._lock = Lock()
        self._remembered: dict[Key, list[ExtractedFact]] = {}
        self._is_proven = False

    @property
    def outcomes(self) -> Mapping[str, int]:
        """What became of answers, items and turns since the program began, by reason.

        Answers: ``answers``, ``nothing_found``, and without use ``malformed``, ``truncated``, ``refused``, ``empty``,
        ``echoed``, ``oversized``, ``rejected`` (the request), ``failed`` (no answer). Items: ``facts``, ``bad_…`` (a
        field), ``no_such_turn``, ``no_such_quote``, ``unknown_attribute``, ``unsupported_value``; ``asked``,
        ``supposed``, ``negated`` (in the sentence around the quote), ``no_wish``; ``dates_dropped`` of items that were
        kept. Turns: ``given_up``.
        """
        return self._asking.outcomes

    def describe_outcomes(self) -> str:
        return self._asking.describe_outcomes()

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        """The facts of what users said in these turns.

        Raises:
            BackendError: the model is away, answers nothing of use, or its budget is used up; what it has answered of
                these turns is remembered for the next try.
        """
        pieces = [piece for turn in request.memories if _is_read(turn) for piece in self._pieces(turn)]
        found = {piece.key: self._remembered[piece.key] for piece in pieces if piece.key in self._remembered}
        try:
            for batch in self._batches(piece for piece in pieces if piece.key not in found):
                # Pair by pair: what comes before a failure is kept.
                found.update(self._read(batch))
        except BackendError:
            self._remember(found)
            raise
        self._forget(found)
        return [fact for facts in found.values() for fact in facts]

    def close(self) -> None:
        """Close the model if it was built here."""
        self._asking.close()

    # --- batches ----------------------------------------------------------------------------------

    def _pieces(self, turn: Memory) -> Iterator[Piece]:
        """The turn, in parts that fit into a batch."""
        if self._asking.counter.count(turn.content) <= self._batch_tokens:
            yield Piece(turn, turn.content)
            return
        # Three characters a token or so; what is cut in the wrong place costs a fact, not a call.
        yield from _cut(Piece(turn, turn.content), self._batch_tokens * 3)

    def _batches(self, pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
        batch: list[Piece] = []
        left = self._batch_tokens
        for piece in pieces:
            cost = self._asking.counter.count(_line(1, piece))
            if batch and cost > left:
                yield batch
                batch, left = [], self._batch_tokens
            batch.append(piece)
            left -= cost
        if batch:
            yield batch

    # --- asking -----------------------------------------------------------------------------------

    def _read(self, batch: list[Piece]) -> Iterator[tuple[Key, list[ExtractedFact]]]:
        """The facts of each piece; a batch that cannot be read is read in halves, a piece that cannot is given up."""
        try:
            reading = self._asked(batch)
        except (UnusableAnswer, RequestRejected) as error:
            self._require_sense(batch[0], error)
            parts = _halves(batch, error)
            for part in parts:
                yield from self._read(part)
            if not parts:
                self._asking.count({"given_up": 1})
                # Should the next one fail too, it is to be known anew whose fault it is.
                self._is_proven = False
                yield batch[0].key, []
        else:
            self._asking.count({"answers": 1, "nothing_found": int(not reading.outcomes), **reading.outcomes})
            for place, piece in enumerate(batch):
                yield piece.key, [fact for of, fact in reading.facts if of == place]

    def _require_sense(self, piece: Piece, unusable: BackendError) -> None:
        """Pass if the model can read a plain sentence, so that it is these turns that it cannot read.

        Raises:
            BackendError: it cannot, or it is away.
        """
        if self._is_proven:
            return
        try:
            self._asked([replace(piece, text=_PROBE)])
        except (UnusableAnswer, RequestRejected) as error:
            reason = f"It cannot read a plain sentence either: {error.message}"
            self._asking.rest(_REST_S, reason)
            raise BackendError(
                f"{self._asking.model} is of no use now. {reason}",
                hint="Nothing is skipped. Try another model, or look at the prompt.",
                retry_after_s=_REST_S,
            ) from unusable

    def _asked(self, batch: Sequence[Piece]) -> Reading:
        """What the model says of the batch.

        Raises:
            UnusableAnswer: nor was the second answer, where a second was worth asking for.
            RequestRejected: the model does not take the request.
            BackendError: there is no answer now.
        """
        try:
            return self._answered(batch)
        except UnusableAnswer as error:
            if error.reason not in _ASKED_AGAIN:
                raise
        return self._answered(batch)

    def _answered(self, batch: Sequence[Piece]) -> Reading:
        fence = secrets.token_hex(16)
        completion = self._asking.answer(self._messages(batch, fence), answer_schema())
        try:
            reading = read_answer(completion, batch, fence=fence)
        except UnusableAnswer as error:
            self._asking.count({error.reason: 1})
            raise
        self._is_proven = True
        return reading

    def _messages(self, batch: Sequence[Piece], fence: str) -> tuple[Message, Message]:
        # The fixed part comes first and never changes, so that endpoints can cache it.
        fixed = self._prompt.substitute(attributes=_attributes())
        lines = "\n".join(_line(number, piece) for number, piece in enumerate(batch, 1))
        return (
            Message("system", fixed),
            Message("user", f'<turns fence="{fence}">\n{lines}\n</turns fence="{fence}">'),
        )

    # --- accounts ---------------------------------------------------------------------------------

    def _remember(self, found: Mapping[Key, list[ExtractedFact]]) -> None:
        with self._lock:
            if len(self._remembered) + len(found) > _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered.update(found)

    def _forget(self, found: Mapping[Key, list[ExtractedFact]]) -> None:
        with self._lock:
            for key in found:
                self._remembered.pop(key, None)


# --- what is sent ---------------------------------------------------------------------------------


def _read_prompt(file: Path | None) -> Template:
    try:
        if file is None:
            text = resources.files("agentmem.prompts").joinpath("extract.md").read_text("utf-8")
        else:
            text = file.read_text("utf-8")
        template = Template(text)
        template.substitute(attributes="")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"extractor: the prompt {file} cannot be read.") from error
    except (KeyError, ValueError) as error:
        raise ConfigError(
            f"extractor: the prompt {file} has a $ that begins no $attributes.", hint="Write $$ for a dollar sign."
        ) from error
    if "attributes" not in template.get_identifiers():
        raise ConfigError(f"extractor: the prompt {file} has no $attributes.", hint="Put it where they are listed.")
    return template


def _attributes() -> str:
    return "\n".join(f"- {attribute.name}: {attribute.about or attribute.name}" for attribute in ATTRIBUTES.values())


def _line(number: int, piece: Piece) -> str:
    day = piece.turn.occurred_at.date()
    speaker = "user" if piece.turn.speaker is None else encode(piece.turn.speaker)
    return f"[{number}] {day.isoformat()} {date_words(day).split()[-1]} {speaker} {encode(piece.text)}"


# --- what is read, and in which parts -------------------------------------------------------------


def _is_read(turn: Memory) -> bool:
    """A user's words, if there are any: "Ok, and you?" says nothing of anybody."""
    if turn.role != "user" or not turn.trusted:
        return False
    # Search takes an emoji for a word, but it states nothing.
    return any(map(str.isalnum, turn.content)) and bool(query_terms(turn.content))


def _cut(piece: Piece, size: int) -> Iterator[Piece]:
    """Parts of about ``size`` characters, cut between words where there are any."""
    start = 0
    while start < len(piece.text):
        stop = start + size
        if stop < len(piece.text):
            space = max(piece.text.rfind(" ", start, stop), piece.text.rfind("\n", start, stop))
            stop = space + 1 if space > start + size // 2 else stop
        yield Piece(piece.turn, piece.text[start:stop], piece.start + start)
        start = stop


def _halves(batch: list[Piece], error: BackendError) -> list[list[Piece]]:
    """Two smaller batches; none if there is one piece only, unless it says more than an answer can hold."""
    if len(batch) > 1:
        middle = len(batch) // 2
        return [batch[:middle], batch[middle:]]
    is_too_much = isinstance(error, RequestRejected) or (
        isinstance(error, UnusableAnswer) and error.reason == "truncated"
    )
    length = len(batch[0].text)
    if is_too_much and length > _SHORTEST_CUT:
        return [[part] for part in _cut(batch[0], length // 2 + 1)]
    return []
