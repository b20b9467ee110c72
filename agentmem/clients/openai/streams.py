"""Streams pass on piece by piece; what came is recorded once: at the end, on an error, when closed or abandoned."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

from agentmem.clients.core import Bridge, Prepared
from agentmem.clients.openai.api import Streamed

log = logging.getLogger("agentmem.clients")


class Recording:
    """What a stream has said so far, and the one time that it is recorded. Safe for threads."""

    def __init__(self, bridge: Bridge, prepared: Prepared, streamed: Streamed) -> None:
        self._bridge, self._prepared, self._streamed = bridge, prepared, streamed
        self._once = threading.Lock()

    @property
    def is_due(self) -> bool:
        """The model is done and nothing was recorded yet."""
        return self._streamed.is_finished and not self._once.locked()

    def add(self, piece: Any) -> None:
        try:
            self._streamed.add(piece)
        except Exception:  # noqa: BLE001  the caller gets the odd piece all the same
            warn_unrecorded("a stream with pieces of an unknown shape")

    async def record_aside(self) -> None:
        """Record it, and wait for that without holding the event loop up."""
        await self._bridge.aside(functools.partial(self.record, wait_for_write=True))

    def record(self, *, wait_for_write: bool) -> None:
        if self._once.acquire(blocking=False):
            self._bridge.observe(
                self._prepared,
                self._streamed.said(),
                complete=self._streamed.is_finished,
                wait_for_write=wait_for_write,
            )


def is_stream(answer: Any) -> bool:
    from openai import AsyncStream, Stream

    return isinstance(answer, Stream | AsyncStream)


def tee(stream: Any, recording: Recording) -> None:
    """Let the SDK's own stream record what passes through it. One that has changed inside is left alone."""
    from openai import AsyncStream

    if not hasattr(stream, "_iterator"):  # private: a later SDK may call it something else
        warn_unrecorded("streams of this version of openai")
    elif isinstance(stream, AsyncStream):
        _tee_async(stream, recording)
    else:
        _tee(stream, recording)


@functools.cache
def warn_unrecorded(what: str) -> None:
    """Say once per process what memory will lack."""
    log.warning("Answers are not recorded: %s.", what)


def _tee(stream: Any, recording: Recording) -> None:
    pieces, close = stream._iterator, stream.response.close

    def passing() -> Iterator[Any]:
        try:
            for piece in pieces:
                recording.add(piece)
                yield piece
        finally:
            recording.record(wait_for_write=recording.is_due)

    def closing() -> None:
        try:
            close()
        finally:
            recording.record(wait_for_write=recording.is_due)

    # The SDK closes the response, not the stream, when one of its helpers is left.
    stream._iterator, stream.response.close = passing(), closing


def _tee_async(stream: Any, recording: Recording) -> None:
    """As ``_tee``; what broke off is recorded without holding up the loop."""
    pieces, close = stream._iterator, stream.response.aclose

    async def passing() -> AsyncIterator[Any]:
        try:
            async for piece in pieces:
                recording.add(piece)
                yield piece
        finally:
            recording.record(wait_for_write=False)

    async def closing() -> None:
        try:
            await close()
            if recording.is_due:
                await recording.record_aside()
        finally:
            recording.record(wait_for_write=False)

    stream._iterator, stream.response.aclose = passing(), closing
