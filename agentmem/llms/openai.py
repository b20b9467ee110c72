"""A language model behind OpenAI's chat completions API: OpenAI itself, or vLLM, Ollama, LM Studio, LiteLLM, …"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from agentmem.endpoint import Endpoint
from agentmem.errors import RequestRejected
from agentmem.interfaces import LLM, Completion, CompletionRequest

_EXPECTED: Final = "a chat completion"


class OpenAILLM(LLM):
    """Answers from an OpenAI-compatible endpoint. Every call is one try: the job that asks does the retrying.

    A request's ``schema`` is sent as a strict ``response_format``; an endpoint that refuses it is asked without.

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
        self._endpoint = Endpoint("LLM", model, base_url=base_url, api_key=api_key, timeout_s=timeout_s)
        self.model = model
        self.name = f"openai/{model}"
        self._timeout_s = timeout_s
        self._takes_schemas = True

    def complete(self, request: CompletionRequest) -> Completion:
        if request.schema is None or not self._takes_schemas:
            return self._complete(self._asked(request))
        shape = {"name": "answer", "schema": dict(request.schema), "strict": True}
        try:
            return self._complete(
                {**self._asked(request), "response_format": {"type": "json_schema", "json_schema": shape}}
            )
        except RequestRejected:
            answer = self._complete(self._asked(request))
            # Without the schema it was taken: an endpoint that knows none is not asked for one again.
            self._takes_schemas = False
            return answer

    def _complete(self, asked: dict[str, Any]) -> Completion:
        with self._endpoint.answering(_EXPECTED):
            answer = self._endpoint.client().chat.completions.create(**asked)
            choice = answer.choices[0]
            text = choice.message.content or ""
            if not isinstance(text, str):
                raise TypeError("the content is no text")
            usage = answer.usage
            return Completion(
                text=text,
                finish_reason="refusal" if choice.message.refusal else choice.finish_reason,
                prompt_tokens=usage.prompt_tokens if usage else None,
                completion_tokens=usage.completion_tokens if usage else None,
            )

    def stream(self, request: CompletionRequest) -> Iterator[str]:
        with (
            self._endpoint.answering(_EXPECTED),
            self._endpoint.client().chat.completions.create(**self._asked(request), stream=True) as parts,
        ):
            for part in parts:
                if part.choices and part.choices[0].delta.content:
                    yield part.choices[0].delta.content

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._endpoint.close()

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
            asked["max_completion_tokens" if self._endpoint.is_openai else "max_tokens"] = request.max_tokens
        if request.temperature is not None:
            asked["temperature"] = request.temperature
        return asked
