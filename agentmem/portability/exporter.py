"""Our own export: JSON lines, a manifest first, then every version of every memory of a scope."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

from agentmem.errors import BackendError, InvalidInput
from agentmem.records import Memory, Page, Scope

FORMAT: Final = "agentmem-export"
FORMAT_VERSION: Final = 1

_PAGE: Final = 1_000
_MOST: Final = 10**18
"""Stands for every count while the manifest's room is measured."""


class Shelf(Protocol):
    """What an export reads from."""

    def list(self, *, scope: Scope, limit: int = ..., cursor: str | None = ...) -> Page: ...

    def history(self, id: str, /, *, scope: Scope) -> Sequence[Memory]: ...


def export_to(memory: Shelf, path: Path, *, scope: Scope) -> int:
    """How many memories were written: what the scope may change, each with its history, oldest version first.

    The file appears whole under its name or not at all, readable by its owner alone. Its first line is the manifest:
    format, version, scope, counts, and the SHA-256 of everything behind it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "w+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            count = _write(file, memory, scope)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidInput(f"{path}: {error.strerror}.", hint="Name a file in a folder that is there.") from error
    except OSError as error:
        raise BackendError(f"{path}: cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
    return count


def _write(file: BinaryIO, memory: Shelf, scope: Scope) -> int:
    # The manifest stands before what it counts: its room is left open and filled at the end.
    room = len(_manifest(scope, memories=_MOST, lines=_MOST, sha256="0" * 64))
    file.write(b" " * room + b"\n")
    digest, memories, lines = hashlib.sha256(), 0, 0
    for versions in _histories(memory, scope):
        memories += 1
        for version in versions:
            line = _json(version.to_dict()) + b"\n"
            digest.update(line)
            file.write(line)
            lines += 1
    file.seek(0)
    file.write(_manifest(scope, memories=memories, lines=lines, sha256=digest.hexdigest()).ljust(room))
    return memories


def _manifest(scope: Scope, *, memories: int, lines: int, sha256: str) -> bytes:
    return _json(
        {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "made_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "scope": asdict(scope),
            "memories": memories,
            "lines": lines,
            "sha256": sha256,
        }
    )


def _histories(memory: Shelf, scope: Scope) -> Iterator[Sequence[Memory]]:
    cursor: str | None = None
    while True:
        page = memory.list(scope=scope, limit=_PAGE, cursor=cursor)
        for found in page:
            if _owns(scope, found.scope):
                yield [found] if found.version == 1 else memory.history(found.id, scope=scope)
        cursor = page.cursor
        if cursor is None:
            return


def _owns(scope: Scope, owner: Scope) -> bool:
    """Whether the scope may change the owner's rows: a layer that it only reads is exported with its own agent."""
    return owner.user == scope.user and scope.agent in (None, owner.agent)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
