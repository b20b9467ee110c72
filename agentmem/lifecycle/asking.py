"""A language model that a job asks: within a budget, through a breaker, with an account of what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from agentmem.clock import Clock
from agentmem.errors import BackendError, ConfigError, RequestRejected
from agentmem.interfaces import LLM, Completion, CompletionRequest, Message, TokenCounter
from agentmem.lifecycle.breaker import Breaker
from agentmem.lifecycle.budget import Budget, Spending
from agentmem.registry import build


class Asking:
    """Asks a model for answers of one shape. Thread-safe.

    Args:
        role: Who asks, for messages: ``extractor``, ``compressor``.
        llm: The model, or its spec.
        answer_tokens: Longest answer. timeout_s: Longest wait for one, in seconds.
        counter: Counts what a model does not say that it has used; unset = ``agentmem.tokens.default_counter()``.
        breaker: Unset = one that opens after 5 failures in a row, for 30 s.

    Raises:
        ConfigError: no model.
    """

    def __init__(
        self,
        role: str,
        llm: LLM | str | Mapping[str, Any] | None,
        *,
        answer_tokens: int,
        timeout_s: float,
        budget: Budget,
        spent_file: Path | None,
        counter: TokenCounter | None,
        clock: Clock,
        breaker: Breaker | None,
    ) -> None:
        if llm is None:
            raise ConfigError(
                f"{role}: llm needs a language model.", hint="Set llm: in agentmem.yaml, or MemoryManager(…, llm=…)."
            )
        self.model = f"The {role}'s model"
        self._spending = Spending(f"The {role} llm", budget, clock=clock, file=spent_file)
        self._llm: LLM = build("llm", llm, place=f"{role}: llm", given={"clock": clock})
        self._owned = self._llm if self._llm is not llm else None
        self._answer_tokens = answer_tokens
        self._timeout_s = timeout_s
        self._given_counter = counter
        self._breaker = breaker or Breaker(self.model)
        self._lock = Lock()
        self._outcomes = Counter[str]()

    def answer(self, messages: Sequence[Message], schema: Mapping[str, Any]) -> Completion:
        """What the model answers, whatever it is.

        Raises:
            RequestRejected: the model does not take the request.
            BackendError: it is away, or its budget is used up.
        """
        request = CompletionRequest(messages, max_tokens=self._answer_tokens, timeout_s=self._timeout_s, schema=schema)
        self._spending.require()
        return self._breaker.call(lambda: self._charged(request))

    def rest(self, seconds: float, reason: str) -> None:
        """Ask nothing for so long, and give that reason."""
        self._breaker.rest(seconds, reason)

    @cached_property
    def counter(self) -> TokenCounter:
        from agentmem.tokens import default_counter

        return self._given_counter or default_counter()

    @property
    def outcomes(self) -> Mapping[str, int]:
        """What came of it, counted by reason; ``failed`` and ``rejected`` are calls without an answer."""
        with self._lock:
            return dict(self._outcomes)

    def count(self, outcomes: Mapping[str, int]) -> None:
        with self._lock:
            self._outcomes += Counter(outcomes)

    def describe_outcomes(self) -> str:
        """The outcomes in words; "" if there are none."""
        counted = self.outcomes
        return ", ".join(f"{reason.replace('_', ' ')}: {counted[reason]:,}" for reason in sorted(counted))

    def close(self) -> None:
        """Close the model if it was built here."""
        close = getattr(self._owned, "close", None)
        if close is not None:
            close()

    def _charged(self, request: CompletionRequest) -> Completion:
        self._spending.add(calls=1)
        try:
            completion = self._llm.complete(request)
        except BackendError as error:
            self.count({"rejected" if isinstance(error, RequestRejected) else "failed": 1})
            raise
        used = completion.prompt_tokens, completion.completion_tokens
        texts = "\n".join(message.content for message in request.messages), completion.text
        self._spending.add(
            tokens=sum(
                tokens if isinstance(tokens, int) and tokens > 0 else self.counter.count(text)
                for tokens, text in zip(used, texts, strict=True)
            )
        )
        return completion
