"""Real chromadb, in process and as a server on the loopback interface."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem.errors import BackendError, ConfigError, StoreBusy
from agentmem.interfaces import Generation, VectorChange, VectorQuery, VectorStore
from agentmem.vectors.chroma import ChromaVectors

FIRST = Generation(1, "test:1", 16, "test")
SECOND = Generation(2, "test:2", 8, "test")


def unit(n: int, dimensions: int = 16, seed: int = 3) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def put(
    store: VectorStore, rows: list[int], vectors: np.ndarray, generation: Generation = FIRST, partition: int = 1
) -> None:
    store.apply(VectorChange(generation, partition, np.array(rows, np.int64), vectors))


def gone(store: VectorStore, rows: list[int], generation: Generation = FIRST, partition: int = 1) -> None:
    nothing = np.empty((0, generation.dimensions), np.float32)
    store.apply(VectorChange(generation, partition, np.empty(0, np.int64), nothing, gone=rows))


def nearest(
    store: VectorStore, vector: np.ndarray, limit: int = 5, generation: Generation = FIRST, partition: int = 1
) -> list[int]:
    return store.search(VectorQuery(generation, partition, vector, limit)).rows.tolist()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ChromaVectors]:
    store = ChromaVectors(tmp_path / "chroma")
    yield store
    store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("server")
    chroma = str(Path(sysconfig.get_path("scripts")) / "chroma")
    command = [sys.executable, chroma, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/heartbeat", timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


def test_what_was_put_is_found_nearest_first_with_its_cosine(store: ChromaVectors) -> None:
    vectors = unit(300)
    put(store, list(range(300)), vectors)
    question = vectors[7]
    hits = store.search(VectorQuery(FIRST, 1, question, 10))
    cosines = vectors @ question
    assert hits.rows[0] == 7
    assert np.allclose(hits.scores, cosines[hits.rows], atol=1e-5)
    assert set(hits.rows.tolist()) == set(np.argsort(-cosines)[:10].tolist())
    assert (hits.rows.dtype, hits.scores.dtype) == (np.int64, np.float32)


def test_applying_twice_is_once_and_a_row_can_be_replaced(store: ChromaVectors) -> None:
    vectors = unit(3)
    put(store, [1, 2], vectors[:2])
    put(store, [1, 2], vectors[:2])
    put(store, [2], vectors[2:])
    assert store.rows(FIRST, 1) == {1, 2}
    assert nearest(store, vectors[2])[0] == 2
    assert store.search(VectorQuery(FIRST, 1, vectors[2], 1)).scores[0] == pytest.approx(1, abs=1e-5)


def test_a_row_that_is_gone_is_never_returned(store: ChromaVectors) -> None:
    vectors = unit(10)
    put(store, list(range(10)), vectors)
    gone(store, [3, 4, 777])
    gone(store, [3])
    assert store.rows(FIRST, 1) == set(range(10)) - {3, 4}
    assert not {3, 4} & set(nearest(store, vectors[3], limit=10))


def test_partitions_and_generations_never_mix(store: ChromaVectors) -> None:
    vectors = unit(3)
    put(store, [1], vectors[:1], partition=1)
    put(store, [2], vectors[1:2], partition=2)
    put(store, [3], unit(1, 8), SECOND, partition=1)
    assert nearest(store, vectors[1], partition=1) == [1]
    assert nearest(store, vectors[0], partition=2) == [2]
    assert store.rows(SECOND, 1) == {3}
    assert store.rows(SECOND, 2) == set()
    assert nearest(store, vectors[0], partition=3) == []


def test_asking_for_more_than_there_is_gives_what_there_is(store: ChromaVectors) -> None:
    put(store, [1, 2], unit(2))
    assert sorted(nearest(store, unit(1)[0], limit=50)) == [1, 2]
    assert nearest(store, unit(1)[0], limit=0) == []


def test_more_than_one_batch_goes_in_whole(store: ChromaVectors) -> None:
    n = 6_000
    put(store, list(range(n)), unit(n))
    assert len(store.rows(FIRST, 1)) == n
    gone(store, list(range(n - 1)))
    assert store.rows(FIRST, 1) == {n - 1}


def test_it_is_all_there_when_opened_again(tmp_path: Path) -> None:
    vectors = unit(50)
    first = ChromaVectors(tmp_path)
    put(first, list(range(50)), vectors)
    first.close()
    again = ChromaVectors(tmp_path)
    assert again.rows(FIRST, 1) == set(range(50))
    assert nearest(again, vectors[9])[0] == 9
    again.close()
    again.close()


def test_a_dropped_partition_leaves_no_folder_behind(store: ChromaVectors, tmp_path: Path) -> None:
    vectors = unit(2_000)
    put(store, list(range(2_000)), vectors, partition=1)
    put(store, [5], vectors[:1], partition=2)
    nearest(store, vectors[0])
    [graph] = [path for path in tmp_path.rglob("data_level0.bin") if path.stat().st_size > 2_000 * 16 * 4]
    store.drop(FIRST, 1)
    store.drop(FIRST, 1)
    assert not graph.parent.exists()
    assert store.rows(FIRST, 1) == set()
    assert store.rows(FIRST, 2) == {5}
    put(store, [1], vectors[:1], partition=1)
    assert store.rows(FIRST, 1) == {1}


def test_no_text_reaches_chroma_and_nothing_connects(tmp_path: Path) -> None:
    script = """
import socket, sys
def refuse(*_): raise AssertionError("network")
socket.socket.connect = refuse
import numpy as np
from agentmem.interfaces import Generation, VectorChange, VectorQuery
from agentmem.vectors.chroma import ChromaVectors
assert "chromadb" not in sys.modules
store = ChromaVectors(sys.argv[1])
g = Generation(1, "f", 4, "e")
store.apply(VectorChange(g, 1, np.array([1]), np.eye(4, dtype=np.float32)[:1]))
assert store.search(VectorQuery(g, 1, np.eye(4, dtype=np.float32)[0], 1)).rows.tolist() == [1]
store.close()
"""
    _run(script, tmp_path)


def test_a_second_owner_is_told_who_the_first_is(store: ChromaVectors, tmp_path: Path) -> None:
    put(store, [1], unit(1))
    script = """
import sys
from agentmem.errors import StoreBusy
from agentmem.interfaces import Generation
from agentmem.vectors.chroma import ChromaVectors
store = ChromaVectors(sys.argv[1])
for _ in range(2):
    try:
        store.rows(Generation(1, "test:1", 16, "test"), 1)
    except StoreBusy as error:
        print(error)
store.close()
"""
    told = _run(script, tmp_path / "chroma")
    assert told.count(f"process {os.getpid()}") == 2
    assert store.rows(FIRST, 1) == {1}


def test_a_second_store_in_this_process_waits_until_the_first_is_closed(tmp_path: Path) -> None:
    first, second = ChromaVectors(tmp_path), ChromaVectors(tmp_path)
    put(first, [1], unit(1))
    with pytest.raises(StoreBusy, match="in use"):
        put(second, [2], unit(1))
    first.close()
    put(second, [2], unit(1))
    assert second.rows(FIRST, 1) == {1, 2}
    second.close()


def test_a_forked_child_is_refused_and_the_parent_goes_on(store: ChromaVectors) -> None:
    put(store, [1], unit(1))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            store.rows(FIRST, 1)
        except StoreBusy:
            store.close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    put(store, [2], unit(1))
    assert store.rows(FIRST, 1) == {1, 2}


def test_rows_of_another_width_are_a_backend_error(store: ChromaVectors) -> None:
    put(store, [1], unit(1))
    with pytest.raises(BackendError, match="dimension") as caught:
        put(store, [2], unit(1, 8))
    assert caught.value.__cause__ is not None
    assert store.rows(FIRST, 1) == {1}


def test_a_folder_that_is_no_chroma_says_so(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"not a database at all" * 100)
    store = ChromaVectors(tmp_path)
    with pytest.raises(BackendError, match="log fills it again"):
        store.rows(FIRST, 1)
    store.close()


def test_a_server_serves_two_stores_at_once(server: int) -> None:
    vectors = unit(20)
    first, second = ChromaVectors(host="127.0.0.1", port=server), ChromaVectors(host="127.0.0.1", port=server)
    put(first, list(range(20)), vectors)
    gone(second, [4])
    assert second.rows(FIRST, 1) == set(range(20)) - {4}
    assert nearest(first, vectors[8])[0] == 8
    second.drop(FIRST, 1)
    assert nearest(ChromaVectors(host="127.0.0.1", port=server), vectors[8]) == []
    first.close()
    second.close()


def test_a_collection_dropped_by_another_is_found_again_after_one_error(server: int) -> None:
    first, second = ChromaVectors(host="127.0.0.1", port=server), ChromaVectors(host="127.0.0.1", port=server)
    put(first, [1], unit(1), partition=9)
    second.drop(FIRST, 9)
    with pytest.raises(BackendError):
        put(first, [1], unit(1), partition=9)
    put(first, [1], unit(1), partition=9)
    assert second.rows(FIRST, 9) == {1}
    first.close()
    second.close()


def test_a_prefix_tells_two_logs_on_one_server_apart(server: int) -> None:
    one = ChromaVectors(host="127.0.0.1", port=server, collection_prefix="one")
    two = ChromaVectors(host="127.0.0.1", port=server, collection_prefix="two")
    put(one, [1], unit(1))
    assert two.rows(FIRST, 1) == set()
    one.close()
    two.close()


def test_nobody_listening_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="Start the server"):
        ChromaVectors(host="127.0.0.1", port=1).rows(FIRST, 1)


def test_exactly_one_of_path_and_host_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either"):
        ChromaVectors()
    with pytest.raises(ConfigError, match="either"):
        ChromaVectors(tmp_path, host="localhost")


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "chromadb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(ConfigError, match=r"pyagentmem\[chroma\]"):
        ChromaVectors(tmp_path).rows(FIRST, 1)


def _run(script: str, folder: Path) -> str:
    import agentmem

    environment = {**os.environ, "PYTHONPATH": str(Path(agentmem.__file__).parents[1])}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout
