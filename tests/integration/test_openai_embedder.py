"""Against a real HTTP server on the loopback interface, through the real client library."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest

from agentmem.embedders.openai import OpenAIEmbedder
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import EmbedRequest

Answer = Callable[[dict[str, Any]], tuple[int, Any]]


class Endpoint:
    """An embeddings endpoint that keeps what it was asked and answers by ``answer``."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.answer: Answer = embeddings
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                endpoint.requests.append(body)
                endpoint.authorizations.append(self.headers["Authorization"])
                status, answer = endpoint.answer(body)
                payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that gave up is part of these tests."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def row(text: str, dimensions: int) -> list[float]:
    return [float(text.count("a")), float(text.count("b")), 3.0, *[0.0] * (dimensions - 3)]


def embeddings(body: dict[str, Any]) -> tuple[int, Any]:
    rows = [
        {"object": "embedding", "index": index, "embedding": row(text, body.get("dimensions", 4))}
        for index, text in enumerate(body["input"])
    ]
    return 200, {"object": "list", "data": rows[::-1], "model": body["model"], "usage": {}}


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    endpoint = Endpoint()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


@pytest.fixture
def embedder(endpoint: Endpoint) -> Iterator[OpenAIEmbedder]:
    embedder = OpenAIEmbedder("tiny", base_url=endpoint.url, batch_size=2, max_characters=10, timeout_s=5)
    yield embedder
    embedder.close()


def test_order_is_restored_and_rows_have_length_one(endpoint: Endpoint, embedder: OpenAIEmbedder) -> None:
    texts = ["aaaa", "bbbb", "ab", "", "a"]
    vectors = embedder.embed(EmbedRequest(texts))
    expected = np.array([row(text, 4) for text in texts])
    expected[3] = 0
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    lengths[3] = 1
    assert np.allclose(vectors, expected / lengths, atol=1e-6)
    assert [request["input"] for request in endpoint.requests[1:]] == [["aaaa", "bbbb"], ["ab", "a"]]


def test_dimensions_are_learned_once_or_asked_for(endpoint: Endpoint, embedder: OpenAIEmbedder) -> None:
    assert embedder.dimensions == embedder.dimensions == 4
    assert len(endpoint.requests) == 1
    assert "dimensions" not in endpoint.requests[0]
    six = OpenAIEmbedder("tiny", base_url=endpoint.url, dimensions=6)
    assert six.embed(EmbedRequest(["a"])).shape == (1, 6)
    assert endpoint.requests[1]["dimensions"] == 6
    assert len(endpoint.requests) == 2
    six.close()


def test_long_texts_are_cut(endpoint: Endpoint, embedder: OpenAIEmbedder) -> None:
    embedder.embed(EmbedRequest(["a" * 1_000]))
    assert endpoint.requests[-1]["input"] == ["a" * 10]


def test_nothing_to_embed_asks_nothing_more(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("tiny", base_url=endpoint.url, dimensions=4)
    assert embedder.embed(EmbedRequest(["", "  "])).any() == np.False_
    assert endpoint.requests == []


def test_the_key_is_sent_and_never_told(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: (401, {"error": {"message": "Incorrect API key provided: sk-secret"}})
    embedder = OpenAIEmbedder("tiny", base_url=endpoint.url, api_key="sk-secret", dimensions=4)
    with pytest.raises(BackendError, match="HTTP 401") as caught:
        embedder.embed(EmbedRequest(["private words"]))
    assert endpoint.authorizations == ["Bearer sk-secret"]
    assert "sk-secret" not in str(caught.value)
    assert "private" not in str(caught.value)
    assert caught.value.__cause__ is not None
    embedder.close()


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_a_refusal_is_one_try_and_a_backend_error(endpoint: Endpoint, embedder: OpenAIEmbedder, status: int) -> None:
    endpoint.answer = lambda _: (status, {"error": {"message": "no"}})
    with pytest.raises(BackendError, match=str(status)):
        embedder.embed(EmbedRequest(["a"]))
    assert len(endpoint.requests) == 1


def one_short(body: dict[str, Any]) -> tuple[int, Any]:
    status, answer = embeddings(body)
    answer["data"].pop()
    return status, answer


def same_index(body: dict[str, Any]) -> tuple[int, Any]:
    status, answer = embeddings(body)
    for item in answer["data"]:
        item["index"] = 0
    return status, answer


def with_first_number(number: object) -> Answer:
    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        status, whole = embeddings(body)
        whole["data"][0]["embedding"][0] = number
        return status, whole

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        one_short,
        same_index,
        with_first_number(float("nan")),
        with_first_number(float("inf")),
        with_first_number("many"),
        with_first_number(None),
        lambda body: embeddings({**body, "dimensions": 5}),
        lambda _: (200, {"data": None}),
        lambda _: (200, {"data": [1, 2]}),
        lambda _: (200, []),
        lambda _: (200, b"{half"),
        lambda _: (200, b""),
    ],
)
def test_an_answer_that_is_not_the_embeddings_is_refused(endpoint: Endpoint, answer: Answer) -> None:
    endpoint.answer = answer
    embedder = OpenAIEmbedder("tiny", base_url=endpoint.url, dimensions=4)
    with pytest.raises(BackendError):
        embedder.embed(EmbedRequest(["a", "b"]))
    embedder.close()


def test_a_slow_endpoint_is_given_up_in_time(endpoint: Endpoint) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(1)
        return embeddings(body)

    endpoint.answer = slow
    embedder = OpenAIEmbedder("tiny", base_url=endpoint.url, dimensions=4, timeout_s=0.1)
    started = time.monotonic()
    with pytest.raises(BackendError, match="Timeout"):
        embedder.embed(EmbedRequest(["a"]))
    assert time.monotonic() - started < 0.9
    embedder.close()


def test_nobody_listening_is_a_backend_error(endpoint: Endpoint) -> None:
    embedder = OpenAIEmbedder("tiny", base_url="http://127.0.0.1:1/v1", dimensions=4, timeout_s=2)
    with pytest.raises(BackendError, match="APIConnectionError"):
        embedder.embed(EmbedRequest(["a"]))
    embedder.close()


def test_the_endpoint_and_key_may_stand_in_the_environment(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
    monkeypatch.setenv("OPENAI_API_KEY", "from-env")
    embedder = OpenAIEmbedder("tiny")
    assert embedder.dimensions == 4
    assert endpoint.authorizations == ["Bearer from-env"]
    embedder.close()


def test_openai_itself_needs_a_key(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        OpenAIEmbedder()


def test_a_batch_of_nothing_is_a_config_error(endpoint: Endpoint) -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        OpenAIEmbedder("tiny", base_url=endpoint.url, batch_size=0)


def test_without_the_package_the_extra_is_named(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(ConfigError, match=r"pyagentmem\[openai\]"):
        OpenAIEmbedder("tiny", base_url=endpoint.url)
