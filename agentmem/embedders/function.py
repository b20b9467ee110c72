"""Any callable as an embedder: the way to a model that agentmem has no class for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentmem.embedders import embed_present
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
    from agentmem.interfaces import Vectors

Function = Callable[[list[str]], Any]
"""Texts to one row of numbers each, in order: a list of lists or anything numpy can read as (n, dimensions)."""


class FunctionEmbedder(Embedder):
    """Vectors from a function of yours; what it returns is checked and brought to length 1.

    Args:
        function: Called with a list of texts, none of them blank.
        ref: Instead of ``function``, where to import it from: ``"module:function"`` (for YAML).
        dimensions: Length of a row.
        name: Known by this in messages and in the fingerprint; unset = module and name of the function.
        is_local: True only if it is fast and cannot fail: it then runs inside ``store``. False embeds from the
            log afterwards, with retries.

    Raises:
        ConfigError: not exactly one of ``function`` and ``ref``, or a ref that cannot be imported.
    """

    def __init__(
        self,
        function: Function | None = None,
        *,
        ref: str | None = None,
        dimensions: int,
        name: str | None = None,
        is_local: bool = False,
    ) -> None:
        if (function is None) == (ref is None):
            raise ConfigError(
                "A callable embedder takes either a function or a ref.", hint='Write ref: "module:function".'
            )
        if dimensions < 1:
            raise ConfigError(f"A callable embedder's dimensions must be at least 1, not {dimensions}.")
        self._function = function if function is not None else _imported(ref or "")
        self.dimensions = dimensions
        self.name = name or ref or f"{self._function.__module__}:{getattr(self._function, '__qualname__', 'callable')}"
        self.is_local = is_local

    def embed(self, request: EmbedRequest) -> Vectors:
        return embed_present(request.texts, self.dimensions, self.name, self._call)

    def _call(self, texts: list[str]) -> Any:
        try:
            return self._function(texts)
        except Exception as error:
            # It is the caller's code and may raise anything.
            raise BackendError(f"The embedder {self.name} raised {type(error).__name__}.") from error


def _imported(ref: str) -> Function:
    module, _, attribute = ref.partition(":")
    if not module or not attribute:
        raise ConfigError(f"embedder.ref {ref!r} names no function.", hint='Write ref: "module:function".')
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"embedder.ref {ref!r} cannot be imported: {error}.") from error
    if not callable(function):
        raise ConfigError(f"embedder.ref {ref!r} is a {type(function).__name__}, which cannot be called.")
    checked: Function = function
    return checked
