"""Our own export: JSON lines, a manifest first, then every version of every memory of a scope."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

from agentmem.errors import BackendError, InvalidInput
from agentmem.interfaces import EpisodicLog, LogQuery
from agentmem.records import Memory, Scope
from agentmem.retrieval.listing import matching

FORMAT: Final = "agentmem-export"
FORMAT_VERSION: Final = 1

_MOST: Final = 10**18
"""Stands for every count while the manifest's room is measured."""


def export_to(log: EpisodicLog, path: Path, query: LogQuery) -> int:
    """How many memories were written: what the query finds, each with its history, oldest version first.

    A query for another moment (``as_of``, ``known_at``) exports the one version of then. The file appears whole under
    its name or not at all, readable by its owner alone. Its first line is the manifest: format, version, scope, counts,
    and the SHA-256 of everything behind it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "w+b", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            count = _write(file, log, query)
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


def _write(file: BinaryIO, log: EpisodicLog, query: LogQuery) -> int:
    # The manifest stands before what it counts: its room is left open and filled at the end.
    room = len(_manifest(query.scope, memories=_MOST, lines=_MOST, sha256="0" * 64))
    file.write(b" " * room + b"\n")
    digest, memories, lines = hashlib.sha256(), 0, 0
    for versions in _histories(log, query):
        memories += 1
        for version in versions:
            line = _json(version.to_dict()) + b"\n"
            digest.update(line)
            file.write(line)
            lines += 1
    file.seek(0)
    file.write(_manifest(query.scope, memories=memories, lines=lines, sha256=digest.hexdigest()).ljust(room))
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


def _histories(log: EpisodicLog, query: LogQuery) -> Iterator[Sequence[Memory]]:
    is_of_now = query.as_of is None and query.known_at is None
    for found in matching(log, query, None):
        yield log.history(query.scope, found.id) if is_of_now and found.version > 1 else [found]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
