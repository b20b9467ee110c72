"""Chroma as an index: it holds row numbers and vectors, never text, and can be deleted and rebuilt from the log."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.errors import BackendError, ConfigError, StoreBusy
from agentmem.interfaces import Generation, VectorChange, VectorHits, VectorQuery, VectorStore
from agentmem.log.writelock import WriteLock

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

_HNSW: Final = {"space": "cosine", "ef_construction": 200, "ef_search": 200}
_SEGMENTS: Final = """
import pathlib, sqlite3, sys
database = sqlite3.connect(pathlib.Path(sys.argv[1]).as_uri() + "?mode=ro", uri=True)
print(*(id for [id] in database.execute("SELECT id FROM segments WHERE collection = ?", [sys.argv[2]])))
"""


class ChromaVectors(VectorStore):
    """Nearest vectors by Chroma's HNSW graph, one collection per generation and partition.

    With ``path`` Chroma runs in this process on a folder that one process owns for as long as it has it open;
    any other gets StoreBusy from every call (and can search the log's own vectors exactly instead). A forked
    child counts as another process. With ``host`` it talks to a Chroma server, which any number may share.

    What it cannot promise: Chroma's folder does not survive a kill or a power cut under load for certain, and a
    damaged one can crash the process that opens it. Nothing is lost then, since the log has every vector: delete
    the folder, and it is filled again. The graph is approximate: of a large partition it may miss a near row.
    Rows that were dropped leave traces in free pages of Chroma's files; deleting the folder removes those too.

    Args:
        path: A folder of its own.
        host: A server's name or address, instead of ``path``.
        port: The server's port.
        ssl: Talk to the server over TLS.
        collection_prefix: Begins every collection's name; tells several logs on one server apart.

    Attributes:
        name: What the log's cursors know it by; another place is another index, filled from the beginning.

    Raises:
        ConfigError: not exactly one of ``path`` and ``host``; at the first use, that the extra is not installed.
        StoreBusy: at any use, another process owns the folder.
        BackendError: at any use, Chroma failed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        host: str | None = None,
        port: int = 8000,
        ssl: bool = False,
        collection_prefix: str = "agentmem",
    ) -> None:
        if (path is None) == (host is None):
            raise ConfigError("vectors: chroma takes either a path or a host.", hint="Write path: ./memory/chroma.")
        self._path = None if path is None else Path(path).absolute()
        self._host = host
        self._port = port
        self._ssl = ssl
        self._prefix = collection_prefix
        place = f"{self._place}\n{collection_prefix}".encode()
        self.name = f"chroma:{hashlib.blake2b(place, digest_size=8).hexdigest()}"
        self._opening = threading.Lock()
        self._opened = ExitStack()
        self._client: Any = None
        self._pid = -1
        self._collections: dict[str, Collection] = {}

    def apply(self, change: VectorChange, *, connection: Any = None) -> None:
        with self._chroma() as client:
            collection = self._collection(client, change.generation, change.partition, create=True)
            assert collection is not None
            size = client.get_max_batch_size()
            for gone in _batches(_ids(change.gone), size):
                collection.delete(ids=gone)
            for start, ids in enumerate(_batches(_ids(change.rows.tolist()), size)):
                collection.upsert(ids=ids, embeddings=change.vectors[start * size : start * size + len(ids)])

    def search(self, query: VectorQuery) -> VectorHits:
        with self._chroma() as client:
            collection = self._collection(client, query.generation, query.partition)
            if collection is None or query.limit < 1:
                return VectorHits(np.empty(0, np.int64), np.empty(0, np.float32))
            answer = collection.query(
                query_embeddings=query.vector.reshape(1, -1), n_results=query.limit, include=["distances"]
            )
        rows = np.array([int(id) for id in answer["ids"][0]], np.int64)
        scores = 1 - np.array((answer["distances"] or [[]])[0], np.float32)
        return VectorHits(rows, scores.clip(-1, 1))

    def rows(self, generation: Generation, partition: int) -> set[int]:
        with self._chroma() as client:
            collection = self._collection(client, generation, partition)
            return set() if collection is None else {int(id) for id in collection.get(include=[])["ids"]}

    def drop(self, generation: Generation, partition: int) -> None:
        with self._chroma() as client:
            collection = self._collection(client, generation, partition)
            if collection is None:
                return
            # Chroma leaves the folder of a deleted collection, with every vector in it.
            folders = [] if self._path is None else _segment_folders(self._path, str(collection.id))
            client.delete_collection(collection.name)
            self._collections.pop(collection.name, None)
            for folder in folders:
                shutil.rmtree(folder)

    def purge_traces(self) -> tuple[str, ...]:
        # Chroma marks rows as deleted and keeps their bytes; a receipt must not say otherwise.
        place = self._path or "the Chroma server"
        return (f"vectors of forgotten memories in {place}, which Chroma keeps: delete it, it is filled again",)

    def close(self) -> None:
        with self._opening:
            if self._pid == os.getpid():
                self._opened.close()
            self._client = None
            self._collections.clear()

    @contextmanager
    def _chroma(self) -> Iterator[Any]:
        """The client, with whatever it raises turned into an error of ours."""
        client = self._client
        if client is None or self._pid != os.getpid():
            client = self._open()
        from chromadb.errors import ChromaError
        from httpx import HTTPError

        try:
            yield client
        except (ChromaError, HTTPError, OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            self._collections.clear()
            raise BackendError(
                f"Chroma at {self._place} failed: {type(error).__name__}: {error}",
                hint="It holds nothing that the log lacks; `agentmem doctor --fix` builds it again.",
            ) from error

    def _open(self) -> Any:
        with self._opening:
            if self._client is not None:
                if self._pid != os.getpid():
                    raise StoreBusy(
                        f"{self._path or self._host}: Chroma was opened before this process was forked.",
                        hint="Open the manager after the fork.",
                    )
                return self._client
            try:
                import chromadb
                from chromadb.config import Settings
            except ImportError as error:
                raise ConfigError(
                    "vectors: chroma needs the package chromadb.", hint='Run `pip install "pyagentmem[chroma]"`.'
                ) from error
            settings = Settings(anonymized_telemetry=False)
            if self._path is not None:
                self._opened.enter_context(_owned(self._path))
            try:
                if self._path is not None:
                    client: Any = chromadb.PersistentClient(str(self._path), settings=settings)
                else:
                    client = chromadb.HttpClient(str(self._host), self._port, ssl=self._ssl, settings=settings)
            except Exception as error:
                # Whatever it is: a damaged folder, another version's format, nobody listening.
                self._opened.close()
                raise BackendError(
                    f"Chroma at {self._place} could not be opened: {type(error).__name__}: {error}",
                    hint="Start the server." if self._path is None else "Delete the folder; the log fills it again.",
                ) from error
            self._opened.callback(client.close)
            self._client, self._pid = client, os.getpid()
            return client

    @property
    def _place(self) -> str:
        return str(self._path or f"{self._host}:{self._port}")

    def _collection(
        self, client: Any, generation: Generation, partition: int, *, create: bool = False
    ) -> Collection | None:
        from chromadb.errors import NotFoundError

        name = f"{self._prefix}-g{generation.number}-p{partition}"
        if name not in self._collections:
            try:
                # No embedding function: Chroma's default one would download a model.
                self._collections[name] = (
                    client.get_or_create_collection(name, embedding_function=None, configuration={"hnsw": _HNSW})
                    if create
                    else client.get_collection(name, embedding_function=None)
                )
            except NotFoundError:
                return None
        return self._collections[name]


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Own the folder, or raise StoreBusy: two processes on one Chroma folder silently lose each other's vectors."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    owner = folder / "owner"
    lock = WriteLock(folder / "owner.lock", timeout_s=0)
    with ExitStack() as held:
        held.callback(lock.close)
        try:
            held.enter_context(lock.hold())
        except StoreBusy as error:
            name = owner.read_text("utf-8") if owner.exists() else "another process"
            raise StoreBusy(
                f"{folder}: Chroma's folder is in use by {name}.",
                hint="One process owns it; let the others search exactly, or run a Chroma server and give its host.",
            ) from error
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}", "utf-8")
        yield


def _segment_folders(path: Path, collection: str) -> list[Path]:
    """Where Chroma keeps the vectors of a collection.

    Asked in a child process: closing Chroma's database in this one would release Chroma's own locks on it.
    """
    command = [sys.executable, "-I", "-c", _SEGMENTS, str(path / "chroma.sqlite3"), collection]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)  # noqa: S603  # our own words
    return [folder for name in found.stdout.split() if (folder := path / name).is_dir()]


def _ids(rows: Sequence[int]) -> list[str]:
    return [str(row) for row in rows]


def _batches(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
