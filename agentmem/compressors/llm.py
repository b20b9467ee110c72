"""Fewer tokens in a language model's words: one call, and no line is kept that the turns it cites do not say."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentmem.clock import Clock, utc_now
from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.context.rendering import encode
from agentmem.errors import AgentMemError, ConfigError
from agentmem.extractors.answers import UnusableAnswer, content_words, json_object, listed
from agentmem.extractors.meant import denies
from agentmem.interfaces import (
    LLM,
    CompressedLine,
    CompressionRequest,
    Compressor,
    Message,
    TokenCounter,
)
from agentmem.lifecycle.asking import Asking
from agentmem.lifecycle.breaker import Breaker
from agentmem.lifecycle.budget import Budget
from agentmem.records import Memory
from agentmem.retrieval.lexical import split_sentences
from agentmem.retrieval.timewords import date_words

_log = logging.getLogger("agentmem.compressors")
_DEFAULT_BUDGET: Final = Budget()


class LLMCompressor(Compressor):
    """Lines that a language model wrote, each citing the turns that say it; checked word by word.

    One call for each request. A line is dropped if it cites no turn or one that was not shown, or if it holds a name, a
    number or another word of weight that none of the turns it cites does, turns a no into a yes, states what they ask,
    or comes from words that speak to the model. Whatever keeps the model from a usable answer (it is away, its budget
    is used up, it refuses, half an answer), the extractive compressor answers instead; such lines are ``by`` it, and
    what they summarise is given to the model again when it is compressed next.

    Args:
        llm: The model, or its spec; in a manager unset = the manager's ``llm``.
        prompt_tokens: Turns that are shown at most, in tokens; of more the extractive compressor chooses.
        answer_tokens: Longest answer. timeout_s: Longest wait for one, in seconds.
        budget: What may be spent; once it is, compression is extractive.
        spent_file: Keeps what was spent between runs, of one process at a time; unset = each run counts for itself.
        prompt: A prompt of your own.
        tokens: Unset = ``agentmem.tokens.default_counter()``.
        clock: Says which day it is, for the budget.
        breaker: Unset = one that opens after 5 failures in a row, for 30 s.

    Raises:
        ConfigError: no model, an option out of range, or a prompt that cannot be read.
    """

    name = "llm"

    def __init__(
        self,
        llm: LLM | str | Mapping[str, Any] | None = None,
        *,
        prompt_tokens: int = 8_000,
        answer_tokens: int = 4_000,
        timeout_s: float = 60.0,
        budget: Budget = _DEFAULT_BUDGET,
        spent_file: Path | None = None,
        prompt: Path | None = None,
        tokens: TokenCounter | None = None,
        clock: Clock = utc_now,
        breaker: Breaker | None = None,
    ) -> None:
        if min(prompt_tokens, answer_tokens, timeout_s) <= 0:
            raise ConfigError("compressor: prompt_tokens, answer_tokens and timeout_s must be > 0.")
        self._asking = Asking(
            "compressor",
            llm,
            answer_tokens=answer_tokens,
            timeout_s=timeout_s,
            budget=budget,
            spent_file=spent_file,
            counter=tokens,
            clock=clock,
            breaker=breaker,
        )
        self._prompt = _read_prompt(prompt)
        self._prompt_tokens = prompt_tokens
        self._extractive = ExtractiveCompressor(tokens=tokens)

    @property
    def outcomes(self) -> Mapping[str, int]:
        """What became of answers and lines since the program began, by reason.

        ``answers``, ``lines``; of lines that were dropped ``bad_line``, ``no_such_turn``, ``unsupported`` and
        ``too_long``; of answers without use ``malformed``, ``truncated``, ``refused``, ``empty``, ``echoed``,
        ``oversized``, ``rejected`` (the request), ``failed`` (no answer), ``nothing_kept``; and ``extractive``: how
        often the extractive compressor stood in.
        """
        return self._asking.outcomes

    def describe_outcomes(self) -> str:
        return self._asking.describe_outcomes()

    def compress(self, request: CompressionRequest) -> Sequence[CompressedLine]:
        if not request.memories:
            return []
        try:
            return self._answered(request)
        # Somebody's own model may raise anything: the session gets its summary nevertheless.
        except Exception as error:  # noqa: BLE001
            reason = error.message if isinstance(error, AgentMemError) else type(error).__name__
        self._asking.count({"extractive": 1})
        _log.warning("The extractive compressor stands in for the model. %s", reason)
        return [replace(line, by=self._extractive.name) for line in self._extractive.compress(request)]

    def close(self) -> None:
        """Close the model if it was built here."""
        self._asking.close()

    # --- asking -----------------------------------------------------------------------------------

    def _answered(self, request: CompressionRequest) -> list[CompressedLine]:
        """The lines of the model that hold, in the order of what they cite.

        Raises:
            UnusableAnswer: none does. BackendError: there is no answer.
        """
        fence = secrets.token_hex(16)
        shown = self._shown(request)
        completion = self._asking.answer(_messages(self._prompt, shown, request.max_tokens, fence), _SCHEMA)
        try:
            lines = list(self._fitting(listed(completion, "lines", fence=fence), shown, request.max_tokens))
            if not lines:
                raise UnusableAnswer("nothing_kept")
        except UnusableAnswer as error:
            self._asking.count({error.reason: 1})
            raise
        self._asking.count({"answers": 1, "lines": len(lines)})
        places = {turn.id: place for place, turn in enumerate(shown)}
        return sorted(lines, key=lambda line: [places[id] for id in line.derived_from])

    def _shown(self, request: CompressionRequest) -> Sequence[Memory]:
        """The turns to show: all of them, or of too many the sentences that tell most."""
        count = self._asking.counter.count
        if sum(count(_row(1, turn)) for turn in request.memories) <= self._prompt_tokens:
            return request.memories
        by_id = {turn.id: turn for turn in request.memories}
        # Half, because escaping and the head of a row cost tokens too.
        lines = self._extractive.compress(replace(request, max_tokens=max(self._prompt_tokens // 2, 1)))
        chosen = ((by_id[line.derived_from[0]], line.text) for line in lines)
        return [replace(turn, content=text.removeprefix(f"{turn.speaker or turn.role}: ")) for turn, text in chosen]

    def _fitting(self, items: Sequence[Any], shown: Sequence[Memory], max_tokens: int) -> Iterator[CompressedLine]:
        """The lines that hold and fit, as the model gave them: the most telling ones first."""
        text = ""
        for item in items:
            try:
                line = _line(item, shown)
                longer = f"{text}\n{line.text}".lstrip()
                if self._asking.counter.count(longer) > max_tokens:
                    raise _Dropped("too_long")
            except _Dropped as dropped:
                self._asking.count({dropped.reason: 1})
            else:
                text = longer
                yield line


# --- what is sent ---------------------------------------------------------------------------------

_SCHEMA: Final = json_object(
    {
        "lines": {
            "type": "array",
            "items": json_object(
                {"text": {"type": "string"}, "turns": {"type": "array", "items": {"type": "integer"}}}
            ),
        }
    }
)


def _messages(prompt: str, shown: Sequence[Memory], max_tokens: int, fence: str) -> tuple[Message, Message]:
    # The fixed part comes first and never changes, so that endpoints can cache it.
    rows = "\n".join(_row(number, turn) for number, turn in enumerate(shown, 1))
    turns = f'<turns fence="{fence}">\n{rows}\n</turns fence="{fence}">'
    return Message("system", prompt), Message("user", f"{turns}\nAt most {max_tokens} tokens.")


def _row(number: int, turn: Memory) -> str:
    day = turn.occurred_at.date()
    speaker = turn.role if turn.speaker is None else encode(turn.speaker)
    return f"[{number}] {day.isoformat()} {date_words(day).split()[-1]} {speaker} {encode(turn.content)}"


def _read_prompt(file: Path | None) -> str:
    try:
        if file is None:
            return resources.files("agentmem.prompts").joinpath("compress.md").read_text("utf-8")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"compressor: the prompt {file} cannot be read.") from error


# --- what is kept of the answer -------------------------------------------------------------------


class _Item(BaseModel):
    """One line as the model said it."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    text: str = Field(min_length=1, max_length=1_000)
    turns: tuple[int, ...] = Field(min_length=1)

    @field_validator("text")
    @classmethod
    def _on_one_line(cls, text: str) -> str:
        line = " ".join(text.split())
        if not line.isprintable():
            raise ValueError("it holds what cannot be seen")
        return line


class _Dropped(Exception):
    """The line is not kept; ``reason`` is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _line(said: Any, shown: Sequence[Memory]) -> CompressedLine:
    """The line that the model said, if it holds."""
    try:
        item = _Item.model_validate(said)
    except ValidationError:
        raise _Dropped("bad_line") from None
    numbers = sorted(set(item.turns))
    if not all(1 <= number <= len(shown) for number in numbers):
        raise _Dropped("no_such_turn")
    cited = [shown[number - 1] for number in numbers]
    if not is_said(item.text, cited):
        raise _Dropped("unsupported")
    return CompressedLine(item.text, tuple(turn.id for turn in cited))


_DIGITS: Final = re.compile(r"\d+")
_CLAUSE_END: Final = re.compile(
    r"[,;:\u2014]\s|\s(?=(?:but|and|although|though|because|so|while|whereas)\b)", re.IGNORECASE
)
_TELLING: Final = (
    "user assistant speaker person say tell mention state report explain note share ask wonder question want wish hope "
    "plan intend promise agree decide offer suggest recommend advise whether"
)
_ASKS: Final = re.compile(r"\b(?:ask|wonder|question|want|wish|hope|whether|if)", re.IGNORECASE)
_TO_THE_MODEL: Final = re.compile(
    r"\b(?:ignor|disregard|overrid|forget)\w*\b.{0,40}\b(?:instruction|prompt|rule|above|previous|prior|everything)"
    r"|\b(?:system|developer) (?:prompt|message|instruction)|\b(?:this|the|your) (?:summary|compression|json)\b"
    r"|\b(?:write|output|print|respond|reply|answer|say)\b.{0,20}(?:exactly|only|the (?:following|line|words)|[\"“'{])",
    re.IGNORECASE,
)


def is_said(text: str, cited: Sequence[Memory]) -> bool:
    """True if the memories say what the text does, as far as words tell.

    Every word of weight, name and number of it is in theirs, in who spoke or in the day; it denies what they deny and
    nothing else; it asserts nothing that they only ask; and nothing that speaks to the model stands behind it.
    """
    heads = " ".join(f"{each.speaker or each.role} {date_words(each.occurred_at.date())}" for each in cited)
    everything = f"{heads} {' '.join(each.content for each in cited)}"
    words = content_words(text)
    unsaid = words - content_words(everything) - content_words(_TELLING)
    if not words or unsaid or set(_DIGITS.findall(text)) - set(_DIGITS.findall(everything)):
        return False
    grounds = [ground for each in cited if (ground := _ground(words, each.content)) is not None]
    if not grounds:
        # Only who spoke, and when: that is nothing said.
        return False
    if denies(text) != any(ground.is_denial for ground in grounds):
        return False
    if all(ground.is_question for ground in grounds) and not _ASKS.search(text):
        return False
    return not any(ground.is_to_the_model for ground in grounds)


@dataclass(frozen=True, slots=True)
class _Ground:
    """The clause of a turn that a line stands on most."""

    is_denial: bool
    is_question: bool
    is_to_the_model: bool


def _ground(words: frozenset[int], content: str) -> _Ground | None:
    best, most = None, 0
    for start, end in split_sentences(content):
        sentence = content[start:end]
        for clause in _CLAUSE_END.split(sentence):
            shared = len(words & content_words(clause))
            if shared > most:
                best, most = (sentence, clause), shared
    if best is None:
        return None
    sentence, clause = best
    is_question = sentence.rstrip("\"'”’) \n").endswith(("?", "？"))
    return _Ground(denies(clause), is_question, _TO_THE_MODEL.search(sentence) is not None)
