"""Vectors from OpenAI or any endpoint that speaks its embeddings API (vLLM, Ollama, LM Studio, TEI, LiteLLM, …)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentmem.embedders import embed_present
from agentmem.endpoint import Endpoint
from agentmem.errors import ConfigError
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
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
        if min(batch_size, max_characters, dimensions or 1) <= 0:
            raise ConfigError("The openai embedder's dimensions, batch_size and max_characters must be > 0.")
        self._endpoint = Endpoint("embedder", model, base_url=base_url, api_key=api_key, timeout_s=timeout_s)
        self.model = model
        self.name = f"openai/{model}"
        self._dimensions = dimensions
        self._batch_size = batch_size
        self._max_characters = max_characters

    @cached_property
    def dimensions(self) -> int:  # type: ignore[override]  # nobody assigns it
        """Length of a row; unless it was given, one request finds out."""
        return self._dimensions or len(self._ask(["dimensions"])[0])

    def embed(self, request: EmbedRequest) -> Vectors:
        return embed_present(request.texts, self.dimensions, self.name, self._embed)

    def close(self) -> None:
        self._endpoint.close()

    def _embed(self, texts: list[str]) -> list[Any]:
        cut = [text[: self._max_characters] for text in texts]
        rows: list[Any] = []
        for start in range(0, len(cut), self._batch_size):
            rows += self._ask(cut[start : start + self._batch_size])
        return rows

    def _ask(self, texts: list[str]) -> list[Any]:
        with self._endpoint.answering(f"{len(texts)} embeddings"):
            from openai import omit

            answer = self._endpoint.client().embeddings.create(
                model=self.model, input=texts, dimensions=self._dimensions or omit, encoding_format="float"
            )
            by_index = {item.index: item.embedding for item in answer.data}
            return [by_index[place] for place in range(len(texts))]
