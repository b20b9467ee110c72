"""A language model behind OpenAI's chat completions API: OpenAI itself, or vLLM, Ollama, LM Studio, LiteLLM, …"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import LLM, Completion, CompletionRequest

if TYPE_CHECKING:
    from openai import OpenAI


class OpenAILLM(LLM):
    """Answers from an OpenAI-compatible endpoint. Every call is one try: the job that asks does the retrying.

    Args:
        model: As the endpoint names it.
        base_url: The endpoint, with its ``/v1``; unset = ``OPENAI_BASE_URL``, else OpenAI itself.
        api_key: Unset = ``OPENAI_API_KEY``. A ``base_url`` of your own needs none.
        timeout_s: Longest wait for one answer, in seconds; a request may ask for less.

    Raises:
        ConfigError: the extra ``openai`` is not installed, or there is no key.
    """

    def __init__(
        self, model: str, *, base_url: str | None = None, api_key: str | None = None, timeout_s: float = 60.0
    ) -> None:
        if importlib.util.find_spec("openai") is None:
            raise ConfigError(
                f"The LLM openai/{model} needs the package openai.", hint='Run `pip install "pyagentmem[openai]"`.'
            )
        if timeout_s <= 0:
            raise ConfigError("The openai LLM's timeout_s must be > 0.")
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        self._is_openai = self._base_url.startswith("https://api.openai.com")
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY") or ""
        if not self._api_key and self._is_openai:
            raise ConfigError(
                f"The openai LLM {model} has no key.",
                hint="Set OPENAI_API_KEY, or base_url for an endpoint of your own.",
            )
        self.model = model
        self.name = f"openai/{model}"
        self._timeout_s = timeout_s
        self._client: tuple[int, OpenAI] | None = None

    def complete(self, request: CompletionRequest) -> Completion:
        with self._answering():
            answer = self._connected().chat.completions.create(**self._asked(request))
            choice = answer.choices[0]
            usage = answer.usage
            return Completion(
                text=choice.message.content or "",
                finish_reason="refusal" if choice.message.refusal else choice.finish_reason,
                prompt_tokens=usage.prompt_tokens if usage else None,
                completion_tokens=usage.completion_tokens if usage else None,
            )

    def stream(self, request: CompletionRequest) -> Iterator[str]:
        with self._answering(), self._connected().chat.completions.create(**self._asked(request), stream=True) as parts:
            for part in parts:
                if part.choices and part.choices[0].delta.content:
                    yield part.choices[0].delta.content

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _asked(self, request: CompletionRequest) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "model": self.model,
            # A tool's words answer no call of this conversation, which is the only way the API takes them.
            "messages": [
                {"role": "user" if message.role == "tool" else message.role, "content": message.content}
                for message in request.messages
            ],
            "timeout": min(request.timeout_s, self._timeout_s),
        }
        if request.max_tokens is not None:
            # OpenAI's reasoning models refuse the old name; other endpoints know only that.
            asked["max_completion_tokens" if self._is_openai else "max_tokens"] = request.max_tokens
        if request.temperature is not None:
            asked["temperature"] = request.temperature
        return asked

    @contextmanager
    def _answering(self) -> Iterator[None]:
        from openai import APIStatusError, OpenAIError

        try:
            yield
        except OpenAIError as error:
            # Not the endpoint's own words: they may repeat the prompt or the key.
            status = f" (HTTP {error.status_code})" if isinstance(error, APIStatusError) else ""
            raise BackendError(
                f"The LLM {self.name} at {self._base_url} failed: {type(error).__name__}{status}.",
                hint="Check base_url, model and key.",
            ) from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise BackendError(
                f"The LLM {self.name} at {self._base_url} answered something other than a chat completion."
            ) from error

    def _connected(self) -> OpenAI:
        # A forked child must not talk over its parent's sockets.
        if self._client is None or self._client[0] != os.getpid():
            self._client = os.getpid(), self._new_client()
        return self._client[1]

    def _new_client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(api_key=self._api_key or "none", base_url=self._base_url, timeout=self._timeout_s, max_retries=0)
