"""Answers of Anthropic's API on their way to the caller: heard in passing, never held up, recorded once.

A body is heard as the bytes that come over the wire, so that it makes no difference how the caller reads it. They are
kept as they are and read only when the last has passed: a chunk costs no more than an entry in a list.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

import httpx2

from agentmem.clients.anthropic.messages import begun, fields_of, message_of, said_in
from agentmem.clients.core import Bridge, Prepared


class Answer:
    """The model's answer to one call.

    Args:
        prefill: The message that began the answer, or None.
        decoder: The client's own, for a stream of events; None for a body of JSON.
    """

    def __init__(self, bridge: Bridge, prepared: Prepared, prefill: Any, decoder: Any) -> None:
        self.bridge = bridge
        self._prepared = prepared
        self._prefill = prefill
        self._decoder = decoder
        self._is_recorded = False

    def read(self, headers: httpx2.Headers, chunks: Iterable[bytes], *, waits: bool) -> None:
        """Record what came over the wire, unless something was already."""
        if self._is_recorded:
            return
        self._is_recorded = True
        body = httpx2.Response(200, headers=headers, content=iter(chunks))
        message, is_whole = message_of(self._events(body)) if self._decoder else _message_in(body)
        self.record(message, is_whole=is_whole, waits=waits)

    def record(self, message: Mapping[str, Any], *, is_whole: bool, waits: bool) -> None:
        answer = begun(self._prefill, message) if message.get("content") else message
        self.bridge.observe(self._prepared, said_in(answer), complete=is_whole, wait_for_write=waits and is_whole)

    def _events(self, body: httpx2.Response) -> Iterator[Mapping[str, Any]]:
        try:
            for event in self._decoder.iter_bytes(body.iter_bytes()):
                yield fields_of(json.loads(event.data or "null"))
        except (ValueError, httpx2.DecodingError):
            return  # what broke off cannot be read to its end


def hear(response: Any, answer: Answer) -> None:
    """Record a response that is here, or let its body pass and record it then."""
    http = getattr(response, "http_response", None)
    if http is None:
        answer.record(fields_of(response), is_whole=True, waits=True)
    elif (body := _body(http)) is not None:
        answer.read(httpx2.Headers(), [body], waits=True)
    else:
        http.stream = _Passing(http.stream, http.headers, answer)


async def hear_async(response: Any, answer: Answer) -> None:
    """As ``hear``, for an async client."""
    http = getattr(response, "http_response", None)
    if http is not None and _body(http) is None:
        http.stream = _PassingAsync(http.stream, http.headers, answer)
    else:
        await answer.bridge.aside(hear, response, answer)


def _body(http: httpx2.Response) -> bytes | None:
    try:
        return http.content
    except httpx2.ResponseNotRead:
        return None


def _message_in(body: httpx2.Response) -> tuple[Mapping[str, Any], bool]:
    try:
        message = fields_of(json.loads(body.read()))
    except (ValueError, httpx2.DecodingError):
        message = {}
    return message, "content" in message


class _Passing(httpx2.SyncByteStream):
    """A body that is heard while it is read; closing it early, or dropping it half read, records what came."""

    def __init__(self, body: httpx2.SyncByteStream, headers: httpx2.Headers, answer: Answer) -> None:
        self._body = body
        self._headers = headers
        self._answer = answer
        self._heard: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)  # the SDK hangs its own observers and measurements on a body

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._body:
            self._heard.append(chunk)
            yield chunk
        self._answer.read(self._headers, self._heard, waits=True)

    def close(self) -> None:
        try:
            self._answer.read(self._headers, self._heard, waits=False)
        finally:
            self._body.close()


class _PassingAsync(httpx2.AsyncByteStream):
    """As ``_Passing``; what broke off is recorded without holding up the loop."""

    def __init__(self, body: httpx2.AsyncByteStream, headers: httpx2.Headers, answer: Answer) -> None:
        self._body = body
        self._headers = headers
        self._answer = answer
        self._heard: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        chunks = aiter(self._body)
        try:
            async for chunk in chunks:
                self._heard.append(chunk)
                yield chunk
            await self._answer.bridge.aside(self._finish)
        finally:
            # Left to the garbage collector, it would be closed in another task than the one that read it.
            if hasattr(chunks, "aclose"):
                await chunks.aclose()

    async def aclose(self) -> None:
        try:
            self._answer.read(self._headers, self._heard, waits=False)
        finally:
            await self._body.aclose()

    def _finish(self) -> None:
        self._answer.read(self._headers, self._heard, waits=True)
