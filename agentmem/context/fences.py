"""The fences of texts in prompts: whoever has the key of a log knows its own, and nobody else can make one."""

from __future__ import annotations

import hmac
import re
import secrets
from typing import Final

from agentmem.records import Scope

_HALF: Final = 8
"""Bytes: the first half of a fence is whatever it is, the second its keyed hash."""


class Fences:
    """The fences that are made with one key, 32 hex digits each. As a container it holds them all, and nothing else.

    Except for those of this process: hits may be rendered without any log at hand.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self) -> str:
        """A fence that nobody can guess, another each time."""
        return self._made(secrets.token_bytes(_HALF))

    def of(self, scope: Scope) -> str:
        """The fence of a scope, whatever its session: always the same, and nobody can guess it either."""
        parts = [(part or "").encode("utf-8") for part in (scope.tenant, scope.user, scope.agent)]
        # Lengths first: no two different scopes may read the same.
        named = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return self._made(self._hash(b"scope " + named))

    def __contains__(self, fence: object) -> bool:
        if not isinstance(fence, str) or not re.fullmatch("[0-9a-f]{32}", fence):
            return False
        first = bytes.fromhex(fence)[:_HALF]
        return any(hmac.compare_digest(each._made(first), fence) for each in (self, OF_PROCESS))

    def _made(self, first: bytes) -> str:
        return (first + self._hash(b"fence " + first)).hex()

    def _hash(self, message: bytes) -> bytes:
        return hmac.digest(self._key, message, "sha256")[:_HALF]


OF_PROCESS: Final = Fences(secrets.token_bytes(32))
