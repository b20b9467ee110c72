"""Opinions from a service with a ``/rerank`` path as Cohere, Jina, Voyage, vLLM, LiteLLM and others have one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentmem.endpoint import Endpoint
from agentmem.errors import ConfigError
from agentmem.interfaces import Reranker, RerankRequest
from agentmem.rerankers import as_scores

if TYPE_CHECKING:
    from agentmem.interfaces import Scores


class HttpReranker(Reranker):
    """What a model behind HTTP thinks of each memory. One try: a question does not wait for a second one.

    Args:
        model: As the service names it.
        base_url: What stands in front of ``/rerank``, such as ``https://api.cohere.com/v2`` or
            ``http://localhost:8000/v1``.
        api_key: Sent as a bearer token; unset = none (``OPENAI_API_KEY`` is not sent to strangers).
        max_characters: Of a longer memory only the beginning is sent.
        timeout_s: Longest wait, in seconds; the answer then comes without the model's opinion.

    Raises:
        ConfigError: the extra ``openai`` is not installed.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str | None = None,
        max_characters: int = 4_000,
        timeout_s: float = 5.0,
    ) -> None:
        if max_characters < 1:
            raise ConfigError(f"The http reranker's max_characters must be at least 1, not {max_characters}.")
        self._endpoint = Endpoint("reranker", model, base_url=base_url, api_key=api_key or "none", timeout_s=timeout_s)
        self.model = model
        self._max_characters = max_characters

    def rerank(self, request: RerankRequest) -> Scores:
        if not request.texts:
            return as_scores([], 0, self.model)
        texts = [text[: self._max_characters] for text in request.texts]
        asked = {"model": self.model, "query": request.query, "documents": texts, "top_n": len(texts)}
        with self._endpoint.answering(f"{len(texts)} scores"):
            answer: Any = self._endpoint.client().post("/rerank", body=asked, cast_to=object)
            listed = answer.get("results") or answer["data"]  # Voyage says data
            by_index = {each["index"]: each["relevance_score"] for each in listed}
            return as_scores([by_index[place] for place in range(len(texts))], len(texts), self.model)

    def close(self) -> None:
        self._endpoint.close()
