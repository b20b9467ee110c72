"""A cross-encoder in an ONNX file on this machine, without PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentmem.interfaces import Reranker, RerankRequest
from agentmem.onnx import OnnxModel
from agentmem.rerankers import as_scores, probabilities

if TYPE_CHECKING:
    from agentmem.interfaces import Scores


class OnnxReranker(Reranker):
    """What a cross-encoder exported to ONNX thinks of each memory, such as cross-encoder/ms-marco-MiniLM-L6-v2.

    Args:
        model: Folder with ``model.onnx`` and ``tokenizer.json``, or the ``.onnx`` file.
        max_tokens: Of question and memory together; what is beyond is not read.
        threads: Processor threads for one call; unset = every core.

    Raises:
        ConfigError: at the first use, if the extra is not installed or the model is not there.
    """

    def __init__(self, model: Path, *, max_tokens: int = 256, threads: int | None = None) -> None:
        self._model = OnnxModel("reranker", model, max_tokens=max_tokens, threads=threads)

    def rerank(self, request: RerankRequest) -> Scores:
        import numpy as np

        scores = np.zeros(len(request.texts), np.float32)
        for read in self._model.read([(request.query, text) for text in request.texts]) if request.texts else ():
            scores[list(read.places)] = probabilities(read.output)
        return as_scores(scores, len(request.texts), self._model.name)
