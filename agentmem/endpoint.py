"""A connection to an OpenAI-compatible endpoint, for the embedder, the reranker and the LLM that speak to one."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agentmem.errors import BackendError, ConfigError, RequestRejected

if TYPE_CHECKING:
    from openai import OpenAI

_OPENAI: Final = "https://api.openai.com"
_REJECTED: Final = frozenset({400, 413, 422})


class Endpoint:
    """Where a model answers, and its client, opened at the first call and anew in a forked child.

    Args:
        role: What the model is here, for messages: ``embedder``, ``reranker`` or ``LLM``.
        model: As the endpoint names it.
        base_url: With its ``/v1``; unset = ``OPENAI_BASE_URL``, else OpenAI itself.
        api_key: Unset = ``OPENAI_API_KEY``. A ``base_url`` of one's own needs none.
        timeout_s: Longest wait for one request, in seconds.

    Raises:
        ConfigError: the extra ``openai`` is not installed, or there is no key.
    """

    def __init__(self, role: str, model: str, *, base_url: str | None, api_key: str | None, timeout_s: float) -> None:
        if importlib.util.find_spec("openai") is None:
            raise ConfigError(
                f"The {role} openai/{model} needs the package openai.", hint='Run `pip install "pyagentmem[openai]"`.'
            )
        if timeout_s <= 0:
            raise ConfigError(f"The openai {role}'s timeout_s must be > 0.")
        self.url = base_url or os.environ.get("OPENAI_BASE_URL") or f"{_OPENAI}/v1"
        self.is_openai = self.url.startswith(_OPENAI)
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY") or ""
        if not self._api_key and self.is_openai:
            raise ConfigError(
                f"The openai {role} {model} has no key.",
                hint="Set OPENAI_API_KEY, or base_url for an endpoint of your own.",
            )
        self._who = f"The {role} openai/{model} at {self.url}"
        self._timeout_s = timeout_s
        self._client: tuple[int, OpenAI] | None = None

    def client(self) -> OpenAI:
        """The SDK's client; it tries once, retrying is the caller's."""
        # A forked child must not talk over its parent's sockets.
        if self._client is None or self._client[0] != os.getpid():
            from openai import OpenAI

            client = OpenAI(api_key=self._api_key or "none", base_url=self.url, timeout=self._timeout_s, max_retries=0)
            self._client = os.getpid(), client
        return self._client[1]

    @contextmanager
    def answering(self, expected: str) -> Iterator[None]:
        """Turns what goes wrong in the block into BackendError; ``expected`` names the answer it is about."""
        from openai import APIStatusError, OpenAIError

        try:
            yield
        except APIStatusError as error:
            if error.status_code in _REJECTED:
                raise RequestRejected(
                    f"{self._who} refuses this request (HTTP {error.status_code}).",
                    hint="It may be too long, or hold an option that the model does not take.",
                ) from error
            raise self._failed(error, f" (HTTP {error.status_code})", _retry_after(error.response.headers)) from error
        except OpenAIError as error:
            raise self._failed(error) from error
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise BackendError(f"{self._who} answered something other than {expected}.") from error

    def _failed(self, error: Exception, status: str = "", retry_after_s: float | None = None) -> BackendError:
        # Not the endpoint's own words: they may repeat the texts or the key.
        return BackendError(
            f"{self._who} failed: {type(error).__name__}{status}.",
            hint="Check base_url, model and key.",
            retry_after_s=retry_after_s,
        )

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._client is not None:
            self._client[1].close()
            self._client = None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header; None if there is none, or if it names a date."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
