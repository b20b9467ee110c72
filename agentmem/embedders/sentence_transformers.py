"""Vectors from a sentence-transformers model on this machine: better ones, a hundred times slower than the table."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any

from agentmem.embedders import embed_present
from agentmem.errors import BackendError
from agentmem.huggingface import loaded
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from agentmem.interfaces import Vectors


class SentenceTransformersEmbedder(Embedder):
    """Vectors from a sentence-transformers model, loaded at the first use. Too slow for the write path.

    Args:
        model: A folder, or a name on the Hugging Face hub.
        local_files_only: True takes the model only from this machine (a folder, or the hub's cache) and never
            connects. False lets the first use download it.
        device: ``cpu``, ``cuda``, ``mps``; unset = the library's choice.
        batch_size: Texts in one pass.

    Raises:
        ConfigError: at the first use, if the extra is not installed or the model is not there.
    """

    is_local = False

    def __init__(
        self,
        model: str = "sentence-transformers/all-MiniLM-L6-v2",
        *,
        local_files_only: bool = True,
        device: str | None = None,
        batch_size: int = 32,
    ) -> None:
        self.model = model
        self.name = f"sentence-transformers/{model}"
        self._local_files_only = local_files_only
        self._device = device
        self._batch_size = batch_size
        self._encoding = threading.Lock()

    @cached_property
    def dimensions(self) -> int:  # type: ignore[override]  # nobody assigns it
        """Length of a row, as the model says."""
        return int(self._loaded.get_sentence_embedding_dimension())

    def embed(self, request: EmbedRequest) -> Vectors:
        model = self._loaded
        encode = model.encode_query if request.purpose == "query" else model.encode_document

        def embed(texts: list[str]) -> Any:
            try:
                # PyTorch already uses every core, and two passes at once need twice the memory.
                with self._encoding:
                    return encode(texts, batch_size=self._batch_size, show_progress_bar=False)
            except RuntimeError as error:
                raise BackendError(f"The embedder {self.name} failed: {error}") from error

        return embed_present(request.texts, self.dimensions, self.name, embed)

    @cached_property
    def _loaded(self) -> SentenceTransformer:
        model: SentenceTransformer = loaded(
            "SentenceTransformer",
            self.model,
            whose=f"The embedder {self.name}",
            device=self._device,
            local_files_only=self._local_files_only,
        )
        return model
