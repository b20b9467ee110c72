"""Two networks of a few hundred bytes, in ONNX as it is on disk: words in common, for an embedder and a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "cats", "sat", "sit", "sits", "on", "mat", "did", "where"]
WORDS += ["does", "tax", "is", "due", "in", "may"]


def embedder_in(folder: Path) -> Path:
    """A folder with a model whose token vectors are one-hot: the mean of them counts words."""
    return _saved(
        folder,
        nodes=[_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        inputs=["input_ids", "attention_mask", "token_type_ids"],
        output=("last_hidden_state", ["batch", "tokens", len(WORDS)]),
    )


def reranker_in(folder: Path) -> Path:
    """A folder with a cross-encoder whose log odds are the words that question and text share, less one."""
    nodes = [
        _node("Gather", ["table", "input_ids"], ["rows"]),
        _node("Cast", ["token_type_ids"], ["second"], to=1),
        _node("Unsqueeze", ["second", "last"], ["is_text"]),
        _node("Mul", ["rows", "is_text"], ["text"]),
        _node("Sub", ["rows", "text"], ["question"]),
        _node("ReduceSum", ["text", "tokens"], ["in_text"], keepdims=0),
        _node("ReduceSum", ["question", "tokens"], ["in_question"], keepdims=0),
        _node("Mul", ["in_text", "in_question"], ["in_both"]),
        _node("ReduceSum", ["in_both", "tokens"], ["shared"], keepdims=1),
        _node("Sub", ["shared", "one"], ["logits"]),
    ]
    return _saved(folder, nodes, ["input_ids", "token_type_ids"], ("logits", ["batch", 1]))


def _saved(folder: Path, nodes: list[bytes], inputs: list[str], output: tuple[str, list[Any]]) -> Path:
    folder.mkdir()
    table = np.eye(len(WORDS), dtype=np.float32)
    table[:4] = 0
    constants = {"table": table, "last": np.array([2]), "tokens": np.array([1]), "one": np.array([1], np.float32)}
    graph = [
        *(_message(1, node) for node in nodes),
        _message(2, b"tiny"),
        *(_message(5, _tensor(name, value)) for name, value in constants.items()),
        *(_message(11, _value(name, 7, ["batch", "tokens"])) for name in inputs),
        _message(12, _value(output[0], 1, output[1])),
    ]
    model = _number(1, 8) + _message(7, b"".join(graph)) + _message(8, _number(2, 17))
    (folder / "model.onnx").write_bytes(model)
    _tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


# --- protobuf: a field is its number and kind, then a varint or a length with that many bytes


def _node(operation: str, inputs: Sequence[str], outputs: Sequence[str], **numbers: int) -> bytes:
    names = [_message(1, name.encode()) for name in inputs] + [_message(2, name.encode()) for name in outputs]
    attributes = [
        _message(5, _message(1, name.encode()) + _number(3, value) + _number(20, 2)) for name, value in numbers.items()
    ]
    return b"".join([*names, _message(4, operation.encode()), *attributes])


def _tensor(name: str, value: Any) -> bytes:
    dimensions = b"".join(_number(1, size) for size in value.shape)
    kind = 1 if value.dtype == np.float32 else 7
    return dimensions + _number(2, kind) + _message(8, name.encode()) + _message(9, value.tobytes())


def _value(name: str, kind: int, shape: Sequence[Any]) -> bytes:
    sizes = [_number(1, size) if isinstance(size, int) else _message(2, size.encode()) for size in shape]
    whole = _number(1, kind) + _message(2, b"".join(_message(1, size) for size in sizes))
    return _message(1, name.encode()) + _message(2, _message(1, whole))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = []
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
