"""Vectors from an ONNX model on this machine: better ones than the table's, a hundred times slower, without PyTorch."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from agentmem.embedders import embed_present
from agentmem.interfaces import Embedder, EmbedRequest
from agentmem.onnx import OnnxModel, Read

if TYPE_CHECKING:
    from agentmem.interfaces import Vectors


class OnnxEmbedder(Embedder):
    """Vectors from a sentence-transformers model exported to ONNX. Too slow for the write path.

    Args:
        model: Folder with ``model.onnx`` and ``tokenizer.json``, or the ``.onnx`` file.
        pooling: How a text's vector comes from its tokens' where the model does not say: their mean, or the first's.
        query_prefix, memory_prefix: Put in front of questions and of memories, for models that were trained so
            (``query: `` and ``passage: `` for E5).
        max_tokens: Of a longer text only the beginning is embedded.
        threads: Processor threads for one call; unset = every core.

    Raises:
        ConfigError: at the first use, if the extra is not installed or the model is not there.
    """

    is_local = False

    def __init__(
        self,
        model: Path,
        *,
        pooling: Literal["mean", "first"] = "mean",
        query_prefix: str = "",
        memory_prefix: str = "",
        max_tokens: int = 256,
        threads: int | None = None,
    ) -> None:
        self._model = OnnxModel("embedder", model, max_tokens=max_tokens, threads=threads)
        self.name = self._model.name
        self._pooling = pooling
        self._prefixes = {"query": query_prefix, "memory": memory_prefix}

    @cached_property
    def dimensions(self) -> int:  # type: ignore[override]  # nobody assigns it
        """Length of a row, as the model says."""
        width = self._model.shape[-1]
        return width if isinstance(width, int) else len(self._embedded(["dimensions"])[0])

    def embed(self, request: EmbedRequest) -> Vectors:
        prefix = self._prefixes[request.purpose]
        return embed_present(
            request.texts, self.dimensions, self.name, lambda texts: self._embedded([prefix + text for text in texts])
        )

    def _embedded(self, texts: list[str]) -> list[Any]:
        rows: list[Any] = [None] * len(texts)
        for read in self._model.read(texts):
            for place, row in zip(read.places, self._pooled(read), strict=True):
                rows[place] = row
        return rows

    def _pooled(self, read: Read) -> Any:
        if read.output.ndim == 2:  # the model pools by itself
            return read.output
        if self._pooling == "first":
            return read.output[:, 0]
        return (read.output * read.mask[..., None]).sum(1) / read.mask.sum(1, keepdims=True)
