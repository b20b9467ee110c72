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
for pair in database.execute("SELECT collection, id FROM segments"):
    print(*pair)
"""
_VACUUM: Final = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
database.execute("PRAGMA temp_store=2")
database.execute("VACUUM")
"""
_UNTIDY: Final = "untidy"
"""A file in Chroma's folder that names the collections which had rows dropped; kept until their bytes are gone."""


class ChromaVectors(VectorStore):
    """Nearest vectors by Chroma's HNSW graph, one collection per generation and partition.

    With ``path`` Chroma runs in this process on a folder that one process owns for as long as it has it open;
    any other gets StoreBusy from every call (and can search the log's own vectors exactly instead). A forked
    child counts as another process. With ``host`` it talks to a Chroma server, which any number may share.

    What it cannot promise: Chroma's folder does not survive a kill or a power cut under load for certain, and a
    damaged one can crash the process that opens it. Nothing is lost then, since the log has every vector: delete
    the folder, and it is filled again. The graph is approximate: of a large partition it may miss a near row.
    Chroma keeps the bytes of rows that were dropped; ``purge_traces`` builds their collections anew, half a
    millisecond a row. A server's files are out of reach: there they stay until its operator removes them.

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

    purges_slowly = True

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
        self._changing = threading.RLock()
        self._untidy: set[str] | None = None
        self._segments: dict[str, list[str]] = {}
        self._opened = ExitStack()
        self._client: Any = None
        self._pid = -1
        self._collections: dict[str, Collection] = {}

    def apply(self, change: VectorChange, *, connection: Any = None) -> None:
        with self._chroma() as client, self._changing:
            if change.gone:
                self._note_untidy(self._name(change.generation, change.partition))
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
        with self._chroma() as client, self._changing:
            collection = self._collection(client, generation, partition)
            if collection is not None:
                self._note_untidy(collection.name)
                self._delete(client, collection)

    def purge_traces(self) -> tuple[str, ...]:
        if self._path is None:
            # A receipt must not say otherwise.
            return (f"vectors of forgotten memories on the Chroma server {self._place}, which keeps them",)
        if not (self._path / _UNTIDY).exists():
            return ()
        with self._chroma() as client, self._changing:
            for name in sorted(self._untidy_names()):
                self._build_anew(client, name)
            _in_child(_VACUUM, str(self._path / "chroma.sqlite3"))
            (self._path / _UNTIDY).unlink()
            self._untidy = None
        return ()

    def files(self) -> Sequence[Path]:
        own = (_UNTIDY, "owner", "owner.lock")
        found = sorted(self._path.rglob("*")) if self._path is not None else []
        return [file for file in found if file.is_file() and file.name not in own]

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

        name = self._name(generation, partition)
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

    def _name(self, generation: Generation, partition: int) -> str:
        return f"{self._prefix}-g{generation.number}-p{partition}"

    def _delete(self, client: Any, collection: Any) -> None:
        # Chroma leaves the folder of a deleted collection, with every vector in it.
        folders = self._segment_folders(str(collection.id))
        client.delete_collection(collection.name)
        self._collections.pop(collection.name, None)
        for folder in folders:
            shutil.rmtree(folder)

    def _build_anew(self, client: Any, name: str) -> None:
        """Replace a collection by one that never had the rows which were dropped from it."""
        there = {each.name: each for each in client.list_collections()}
        for rest in (f"{name}-new", f"{name}-old"):
            if rest in there:
                self._delete(client, there[rest])  # a crash left it
        old = there.get(name)
        if old is None:
            return
        kept = old.get(include=["embeddings"])
        made = client.create_collection(f"{name}-new", embedding_function=None, configuration={"hnsw": _HNSW})
        size = client.get_max_batch_size()
        for start, ids in enumerate(_batches(kept["ids"], size)):
            made.upsert(ids=ids, embeddings=kept["embeddings"][start * size : start * size + len(ids)])
        # A crash in between leaves no collection of this name, which is then filled from the log.
        old.modify(name=f"{name}-old")
        made.modify(name=name)
        self._collections[name] = made
        self._delete(client, old)

    def _note_untidy(self, name: str) -> None:
        if self._path is not None and name not in self._untidy_names():
            with open(self._path / _UNTIDY, "a", encoding="utf-8") as file:
                file.write(f"{name}\n")
                file.flush()
                os.fsync(file.fileno())
            self._untidy_names().add(name)

    def _untidy_names(self) -> set[str]:
        assert self._path is not None
        if self._untidy is None:
            file = self._path / _UNTIDY
            self._untidy = set(file.read_text("utf-8").split()) if file.exists() else set()
        return self._untidy

    def _segment_folders(self, collection: str) -> list[Path]:
        """Where Chroma keeps the vectors of a collection.

        Asked in a child process: closing Chroma's database in this one would release Chroma's own locks on it.
        """
        if self._path is None:
            return []
        if collection not in self._segments:
            self._segments = {}
            for pair in _in_child(_SEGMENTS, str(self._path / "chroma.sqlite3")).splitlines():
                owner, segment = pair.split()
                self._segments.setdefault(owner, []).append(segment)
        return [folder for name in self._segments.get(collection, ()) if (folder := self._path / name).is_dir()]


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


def _in_child(program: str, *arguments: str) -> str:
    """What a small program of ours printed, run by this Python in a process of its own."""
    command = [sys.executable, "-I", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout  # noqa: S603


def _ids(rows: Sequence[int]) -> list[str]:
    return [str(row) for row in rows]


def _batches(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
