"""Vectors from OpenAI or any endpoint that speaks its embeddings API (vLLM, Ollama, LM Studio, TEI, LiteLLM, …)."""

from __future__ import annotations

import importlib.util
import os
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentmem.embedders import embed_present
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
    from openai import OpenAI

    from agentmem.interfaces import Vectors


class OpenAIEmbedder(Embedder):
    """Vectors from an OpenAI-compatible endpoint. Every call is one try: the indexer does the retrying.

    Args:
        model: As the endpoint names it.
        base_url: The endpoint, with its ``/v1``; unset = ``OPENAI_BASE_URL``, else OpenAI itself.
        api_key: Unset = ``OPENAI_API_KEY``. A ``base_url`` of your own needs none.
        dimensions: Asked of the endpoint (not every model can shorten its rows) and required of its answers;
            unset = the model's own, learned from its first answer.
        batch_size: Texts in one request.
        max_characters: Of a longer text only the beginning is sent; models refuse more than 8,192 tokens.
        timeout_s: Longest wait for one request, in seconds.

    Raises:
        ConfigError: the extra ``openai`` is not installed, or there is no key.
    """

    is_local = False

    def __init__(
        self,
        model: str = "text-embedding-3-small",
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        dimensions: int | None = None,
        batch_size: int = 64,
        max_characters: int = 8_000,
        timeout_s: float = 30.0,
    ) -> None:
        if importlib.util.find_spec("openai") is None:
            raise ConfigError(
                f"The embedder openai/{model} needs the package openai.", hint='Run `pip install "pyagentmem[openai]"`.'
            )
        if min(batch_size, max_characters, timeout_s, dimensions or 1) <= 0:
            raise ConfigError("The openai embedder's dimensions, batch_size, max_characters and timeout_s must be > 0.")
        self._base_url = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY") or ""
        if not self._api_key and self._base_url.startswith("https://api.openai.com"):
            raise ConfigError(
                f"The openai embedder {model} has no key.",
                hint="Set OPENAI_API_KEY, or base_url for an endpoint of your own.",
            )
        self.model = model
        self.name = f"openai/{model}"
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._max_characters = max_characters
        self._timeout_s = timeout_s
        self._client: tuple[int, OpenAI] | None = None

    @cached_property
    def dimensions(self) -> int:  # type: ignore[override]  # nobody assigns it
        """Length of a row; unless it was given, one request finds out."""
        return self._dimensions or len(self._ask(["dimensions"])[0])

    def embed(self, request: EmbedRequest) -> Vectors:
        return embed_present(request.texts, self.dimensions, self.name, self._embed)

    def close(self) -> None:
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _embed(self, texts: list[str]) -> list[Any]:
        cut = [text[: self._max_characters] for text in texts]
        rows: list[Any] = []
        for start in range(0, len(cut), self._batch_size):
            rows += self._ask(cut[start : start + self._batch_size])
        return rows

    def _ask(self, texts: list[str]) -> list[Any]:
        from openai import APIStatusError, OpenAIError, omit

        try:
            answer = self._connected().embeddings.create(
                model=self.model, input=texts, dimensions=self._dimensions or omit, encoding_format="float"
            )
            by_index = {item.index: item.embedding for item in answer.data}
            return [by_index[place] for place in range(len(texts))]
        except OpenAIError as error:
            # Not the endpoint's own words: they may repeat the texts or the key.
            status = f" (HTTP {error.status_code})" if isinstance(error, APIStatusError) else ""
            raise BackendError(
                f"The embedder {self.name} at {self._base_url} failed: {type(error).__name__}{status}.",
                hint="Check base_url, model, dimensions and key; memories are embedded once it answers again.",
            ) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BackendError(
                f"The embedder {self.name} at {self._base_url} answered something other than {len(texts)} embeddings."
            ) from error

    def _connected(self) -> OpenAI:
        # A forked child must not talk over its parent's sockets.
        if self._client is None or self._client[0] != os.getpid():
            self._client = os.getpid(), self._new_client()
        return self._client[1]

    def _new_client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(api_key=self._api_key or "none", base_url=self._base_url, timeout=self._timeout_s, max_retries=0)
