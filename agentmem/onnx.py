"""A transformer in an ONNX file with its tokenizer, for the embedder and the reranker that run one in process."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentmem.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

Text = str | tuple[str, str]
"""A text, or a question and a text to read together."""

_BATCH_SIZE: Final = 32
_MOST_CHARACTERS: Final = 32
"""Of a text, for each token that is read: tokenizing what is cut off afterwards only takes time."""


class Read(NamedTuple):
    """What the network made of some texts: its first output, and which tokens are not padding.

    Args:
        places: Which of the texts these are.
        output: (n, …) float32.
        mask: (n, tokens) int64, 1 for a token.
    """

    places: Sequence[int]
    output: NDArray[Any]
    mask: NDArray[Any]


class OnnxModel:
    """Opened at the first use, and anew in a forked child. May be shared by threads; never touches the network.

    Args:
        role: What the model is here, for messages.
        model: An ``.onnx`` file, or a folder with ``model.onnx`` or ``onnx/model.onnx``. ``tokenizer.json`` lies beside
            it, or in the folder above.
        max_tokens: Of a longer text only the beginning is read.
        threads: Processor threads for one call; unset = the runtime's choice, every core.
    """

    def __init__(self, role: str, model: str | Path, *, max_tokens: int, threads: int | None) -> None:
        if max_tokens < 3 or (threads is not None and threads < 1):
            raise ConfigError(f"The onnx {role}'s max_tokens must be at least 3, its threads at least 1.")
        self.name = f"onnx/{Path(model).name}"
        self._who = f"The {role} {self.name}"
        self._path = Path(model)
        self._max_tokens = max_tokens
        self._threads = threads
        self._open: tuple[int, InferenceSession, Tokenizer] | None = None
        self._of_parents: list[Any] = []
        """Never closed here: closing waits for threads that a forked child does not have."""

    def read(self, texts: Sequence[Text]) -> list[Read]:
        """What the network makes of the texts, a few of like length at a time.

        Raises:
            ConfigError: the packages or the files are not there, or are no such model.
            BackendError: the model failed.
        """
        session, tokenizer = self._opened()
        # One at a time: a batch would start the tokenizer's threads, which a forked child cannot use.
        encoded = [self._encoded(tokenizer, text) for text in texts]
        by_length = sorted(range(len(texts)), key=lambda place: len(encoded[place].ids))
        batches = [by_length[start : start + _BATCH_SIZE] for start in range(0, len(texts), _BATCH_SIZE)]
        return [self._ran(session, places, [encoded[place] for place in places]) for places in batches]

    @property
    def shape(self) -> Sequence[int | str]:
        """Of the first output; a name where it varies."""
        shape: Sequence[int | str] = self._opened()[0].get_outputs()[0].shape
        return shape

    def _ran(self, session: InferenceSession, places: Sequence[int], encoded: Sequence[Any]) -> Read:
        import numpy as np

        rows = np.zeros((3, len(encoded), max(len(each.ids) for each in encoded)), np.int64)
        for number, each in enumerate(encoded):
            rows[:, number, : len(each.ids)] = each.ids, each.attention_mask, each.type_ids
        given = dict(zip(("input_ids", "attention_mask", "token_type_ids"), rows, strict=True))
        try:
            wanted = {each.name: given[each.name] for each in session.get_inputs()}
            output = session.run(None, wanted)[0]
        except Exception as error:
            # The runtime's exceptions share no base class but this.
            raise BackendError(f"{self._who} failed: {type(error).__name__}: {error}") from error
        return Read(places, np.asarray(output, np.float32), given["attention_mask"])

    def _encoded(self, tokenizer: Tokenizer, text: Text) -> Any:
        most = _MOST_CHARACTERS * self._max_tokens
        first, second = (text, None) if isinstance(text, str) else text
        return tokenizer.encode(first[:most], second and second[:most])

    def _opened(self) -> tuple[InferenceSession, Tokenizer]:
        # The runtime's threads do not live on in a forked child.
        if self._open is None or self._open[0] != os.getpid():
            self._of_parents.append(self._open)
            self._open = os.getpid(), *self._opening()
        return self._open[1:]

    def _opening(self) -> tuple[InferenceSession, Tokenizer]:
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ConfigError(
                f"{self._who} needs the packages onnxruntime and tokenizers.",
                hint='Run `pip install "pyagentmem[onnx]"`.',
            ) from error
        network = self._found("model.onnx", "onnx/model.onnx") if self._path.is_dir() else self._path
        beside = network.parent
        words = next((each for each in (beside, beside.parent) if (each / "tokenizer.json").is_file()), beside)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads or 0
        options.log_severity_level = 3  # errors: its warnings are for who makes models
        try:
            session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
            tokenizer = Tokenizer.from_file(str(words / "tokenizer.json"))
        except Exception as error:
            # Neither library says which exceptions it raises; all of them mean that the file is not usable.
            raise ConfigError(
                f"{self._who} could not be opened from {self._path}: {error}",
                hint="Give a folder that holds model.onnx and tokenizer.json.",
            ) from error
        tokenizer.enable_truncation(self._max_tokens)
        tokenizer.no_padding()
        return session, tokenizer

    def _found(self, *names: str) -> Path:
        return next((self._path / name for name in names if (self._path / name).is_file()), self._path / names[0])
