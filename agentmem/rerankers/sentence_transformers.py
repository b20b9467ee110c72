"""A cross-encoder of the package sentence-transformers, on this machine."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from agentmem.errors import BackendError
from agentmem.huggingface import loaded
from agentmem.interfaces import Reranker, RerankRequest
from agentmem.rerankers import as_scores, probabilities

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

    from agentmem.interfaces import Scores


class SentenceTransformersReranker(Reranker):
    """What a cross-encoder thinks of each memory; loaded at the first use.

    Args:
        model: A folder, or a name on the Hugging Face hub.
        local_files_only: True takes the model only from this machine (a folder, or the hub's cache) and never
            connects. False lets the first use download it.
        device: ``cpu``, ``cuda``, ``mps``; unset = the library's choice.
        batch_size: Memories in one pass.

    Raises:
        ConfigError: at the first use, if the extra is not installed or the model is not there.
    """

    def __init__(
        self,
        model: str = "cross-encoder/ms-marco-MiniLM-L6-v2",
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
        self._reading = threading.Lock()

    def rerank(self, request: RerankRequest) -> Scores:
        if not request.texts:
            return as_scores([], 0, self.name)
        from torch.nn import Identity

        pairs = [(request.query, text) for text in request.texts]
        try:
            # PyTorch already uses every core. Without an activation of its own, so that it is applied once.
            with self._reading:
                logits = self._loaded.predict(
                    pairs, batch_size=self._batch_size, activation_fn=Identity(), show_progress_bar=False
                )
        except RuntimeError as error:
            raise BackendError(f"The reranker {self.name} failed: {error}") from error
        return as_scores(probabilities(logits), len(request.texts), self.name)

    @cached_property
    def _loaded(self) -> CrossEncoder:
        model: CrossEncoder = loaded(
            "CrossEncoder",
            self.model,
            whose=f"The reranker {self.name}",
            device=self._device,
            local_files_only=self._local_files_only,
        )
        return model
