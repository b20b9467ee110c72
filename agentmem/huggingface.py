"""Models of the package sentence-transformers, loaded when first used: for the embedder and for the reranker."""

from __future__ import annotations

from typing import Any

from agentmem.errors import ConfigError


def loaded(kind: str, model: str, *, whose: str, device: str | None, local_files_only: bool) -> Any:
    """The model, as an object of the package's class ``kind``.

    Args:
        model: A folder, or a name on the Hugging Face hub.
        whose: What needs it, for the error: "The embedder …".
        local_files_only: True never connects.

    Raises:
        ConfigError: the extra is not installed, or the model is not there.
    """
    try:
        import sentence_transformers
    except ImportError as error:
        raise ConfigError(
            f"{whose} needs the package sentence-transformers.",
            hint='Run `pip install "pyagentmem[sentence-transformers]"`.',
        ) from error
    try:
        return getattr(sentence_transformers, kind)(model, device=device, local_files_only=local_files_only)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The model {model!r} could not be loaded: {error}",
            hint="Give a folder, or set local_files_only: false to download it once."
            if local_files_only
            else "Check its name and the connection.",
        ) from error
