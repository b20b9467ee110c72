"""A wrapped OpenAI client returns and raises exactly what the bare one does, whatever happens on the way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
from openai_server import Answer, OpenAIServer, custom_call, serving, tool_call
from openai_shapes import ASKED, SHAPES, Shape

from agentmem import MemoryManager, Scope
from agentmem.clients import WrapOptions

openai = pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')

PATIENT = WrapOptions(deadline_s=30, write_deadline_s=30)
KNOWN = "My name is Ana Marques."
Both = Callable[..., Any]
Side = Literal["sync", "async"]
SIDES: list[Side] = ["sync", "async"]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryManager]:
    with MemoryManager.open("sqlite://", wrapping=PATIENT, extractor=None) as memory:
        yield memory


@pytest.fixture
def scope(memory: MemoryManager) -> Scope:
    """Somebody of whom something is known."""
    scope = Scope(user=f"ana-{next(_numbers)}", session="now")
    memory.store(KNOWN, scope=Scope(user=scope.user, session="before"))
    return scope


@pytest.fixture(scope="module")
def clients(server: OpenAIServer) -> Iterator[Clients]:
    clients = Clients(server.url)
    yield clients
    clients.close()


class Clients:
    """One bare client for each side, whose connections all calls share."""

    def __init__(self, url: str) -> None:
        how: dict[str, Any] = {"base_url": url, "api_key": "none", "max_retries": 0}
        self._loop = asyncio.Runner()
        self._clients = {"sync": openai.OpenAI(**how), "async": openai.AsyncOpenAI(**how)}

    def close(self) -> None:
        self._clients["sync"].close()
        self._loop.run(self._clients["async"].close())
        self._loop.close()

    def outcome(self, shape: Shape, side: Side, wrapping: Callable[[Any], Any], **how: Any) -> Any:
        """What the caller of a shape gets: the pieces, then what was returned or raised."""
        return self._loop.run(_outcome(shape, wrapping(self._clients[side].with_options(**how))))


async def _outcome(shape: Shape, client: Any) -> Any:
    seen: list[Any] = []
    try:
        end = shown(await shape.call(client, seen))
    except Exception as error:  # noqa: BLE001  whatever it is, it has to be the same
        end = raised(error)
    return [shown(piece) for piece in seen], end


def shown(result: Any) -> Any:
    if isinstance(result, tuple | list):
        return [shown(each) for each in result]
    if hasattr(result, "http_response"):
        headers = {name: result.headers[name] for name in ("content-type", "x-request-id")}
        return type(result), result.status_code, headers, shown(result.parse())
    if hasattr(result, "model_dump"):
        return type(result), result.model_dump(mode="json", warnings=False)
    return result


def raised(error: BaseException | None) -> Any:
    if error is None:
        return None
    told = {name: getattr(error, name, None) for name in ("status_code", "body", "code", "type", "request_id")}
    return type(error), str(error), told, raised(error.__cause__)


def is_error(end: Any) -> bool:
    return isinstance(end, tuple) and isinstance(end[0], type) and issubclass(end[0], Exception)


@pytest.fixture
def both(server: OpenAIServer, memory: MemoryManager, clients: Clients) -> Both:
    """The outcome with memory, after it was found to be the same as without."""

    def both(shape: Shape, side: Side, scope: Scope, *script: Answer, counted: bool = True, **how: Any) -> Any:
        came = []
        for wrapping in (lambda bare: bare, lambda bare: memory.wrap(bare, scope=scope)):
            server.requests.clear()
            server.answers.clear()
            server.will(*script)
            outcome = clients.outcome(shape, side, wrapping, **how)
            came.append((outcome, len(server.requests) if counted else 0))
        bare, wrapped = came
        assert wrapped == bare
        return wrapped[0]

    return both


def recorded(memory: MemoryManager, scope: Scope) -> list[tuple[str, str]]:
    memory.flush()
    turns = memory.list(scope=scope, kinds={"turn"}, where={"session": "now"})
    return [(turn.role, turn.content) for turn in turns]


def since_asked(memory: MemoryManager, scope: Scope) -> list[tuple[str, str]]:
    said = [(role, text.strip()) for role, text in recorded(memory, scope)]
    return said[said.index(("user", ASKED)) :]


def asked(memory: MemoryManager, scope: Scope) -> int:
    return recorded(memory, scope).count(("user", ASKED))


def text_for(shape: Shape) -> str:
    return '{"name": "Ana"}' if shape.parses else "Your name"


named = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
sided = pytest.mark.parametrize("side", SIDES)
OFTEN = {"chat_create_streamed", "responses_create_streamed", "chat_stream_parsed"}
STREAMS = [
    pytest.param(each, marks=() if each.name in OFTEN else pytest.mark.campaign) for each in SHAPES if each.streams
]


@named
@sided
def test_an_answer(
    shape: Shape, side: Side, both: Both, server: OpenAIServer, memory: MemoryManager, scope: Scope
) -> None:
    both(shape, side, scope, Answer(text_for(shape)))
    assert KNOWN in server.prompt
    said = recorded(memory, scope)
    assert said.count(("user", ASKED)) == 1
    answers = [text.strip() for role, text in said if role == "assistant" and text != "Hello!"]
    assert answers == ([text_for(shape)] if shape.records else [])


FAULTS = {
    "rate limit": Answer(status=429),
    "server error": Answer(status=500),
    "half a JSON": Answer(body=b'{"id": "chatcmpl-1", "choices": [{"ind'),
    "odd fields": Answer(body=b'{"choices": [{"message": 7}], "output": [3, {"type": "message", "content": 4}]}'),
    "reset": Answer(resets=True),
}
RARE_FAULTS = {
    "refused": Answer(status=400),
    "no JSON": Answer(body=b"<html>"),
    "empty": Answer(body=b""),
    "another object": Answer(body=b'{"error": null}'),
}


@named
@sided
@pytest.mark.parametrize(
    "fault", [*FAULTS, *(pytest.param(fault, marks=pytest.mark.campaign) for fault in RARE_FAULTS)]
)
def test_trouble_on_the_way(
    shape: Shape, side: Side, fault: str, both: Both, memory: MemoryManager, scope: Scope
) -> None:
    both(shape, side, scope, (FAULTS | RARE_FAULTS)[fault])
    assert asked(memory, scope) == 1


@named
@sided
def test_a_call_that_is_tried_again_is_recorded_once(
    shape: Shape, side: Side, both: Both, memory: MemoryManager, scope: Scope
) -> None:
    at_once = {"retry-after-ms": "1"}
    script = Answer(status=429, headers=at_once), Answer(status=500, headers=at_once), Answer(text_for(shape))
    both(shape, side, scope, *script, max_retries=2)
    assert [role for role, _ in since_asked(memory, scope)] == ["user", "assistant"][: 1 + shape.records]


@named
@sided
def test_a_model_that_hangs(shape: Shape, side: Side, both: Both, memory: MemoryManager, scope: Scope) -> None:
    # The server may come to read what it was asked only when nobody waits for it any more.
    _, error = both(shape, side, scope, Answer(hang_s=0.5), counted=False, timeout=openai.Timeout(30, read=0.05))
    assert error[0] is openai.APITimeoutError
    assert asked(memory, scope) == 1


@pytest.mark.parametrize("shape", STREAMS, ids=lambda shape: shape.name)
@sided
@pytest.mark.parametrize("cut", ["ends", "breaks", "resets", "garbled", "error"])
def test_a_stream_that_breaks_at_any_piece(
    shape: Shape, side: Side, cut: Any, both: Both, memory: MemoryManager
) -> None:
    text = text_for(shape)
    for place in itertools.count():
        scope = Scope(user=f"cut-{next(_numbers)}", session="now")
        seen, _ = both(shape, side, scope, Answer(text, cut_after=place, cut=cut))
        assert asked(memory, scope) == 1
        _assert_what_came_is_recorded(memory, scope, seen, text)
        if _is_whole(seen):
            break
    assert place > 3


def _assert_what_came_is_recorded(memory: MemoryManager, scope: Scope, seen: list[Any], text: str) -> None:
    memory.flush()
    turns = memory.list(scope=scope, kinds={"turn"}, where={"session": "now"})
    answers = [turn for turn in turns if turn.role == "assistant" and turn.content != "Hello!"]
    came = "".join(map(_words, seen))
    assert [turn.content for turn in answers] == ([came] if came else [])
    assert text.startswith(came.strip())
    if not _is_whole(seen):
        assert [turn.metadata for turn in answers] == [{"complete": False}] * len(answers)


def _words(piece: Any) -> str:
    kind, fields = piece
    if "choices" in fields:
        return "".join(each["delta"].get("content") or "" for each in fields["choices"] if not each["index"])
    if fields["type"] == "chunk":
        return _words((kind, fields["chunk"]))
    return str(fields["delta"]) if fields["type"] == "response.output_text.delta" else ""


def _is_whole(seen: list[Any]) -> bool:
    """The model said that it was done."""
    return any(_is_end(fields.get("chunk") or fields) for _, fields in seen)


def _is_end(fields: dict[str, Any]) -> bool:
    choices = fields.get("choices") or ()
    return any(each["finish_reason"] for each in choices if not each["index"]) or fields.get("type") in (
        "response.completed",
        "response.incomplete",
    )


SPECIAL: dict[str, Answer] = {
    "refusal": Answer(None, refusal="I cannot say."),
    "two tools": Answer(None, (tool_call("weather", '{"city": "Lisbon"}'), tool_call("time", "{}", id="call_2"))),
    "custom tool": Answer(None, (custom_call("shell", "ls -l"),)),
    "words and a tool": Answer("Let me see.", (tool_call("weather", '{"city": "Lisbon"}'),)),
    "cut for length": Answer("Your name", finish_reason="length"),
}


RARELY = ("two tools", "cut for length")


@pytest.mark.parametrize(
    "answer", [pytest.param(each, marks=pytest.mark.campaign if each in RARELY else ()) for each in SPECIAL]
)
@named
@sided
def test_other_kinds_of_answers(
    shape: Shape, side: Side, answer: str, both: Both, memory: MemoryManager, scope: Scope
) -> None:
    _, end = both(shape, side, scope, SPECIAL[answer])
    said = since_asked(memory, scope)
    assert said[0] == ("user", ASKED)
    is_dropped = "chat" in shape.name and shape.parses and answer == "custom tool"  # by the SDK's own parse
    if shape.records and not is_error(end) and not is_dropped:
        assert said[1:] == KEPT[answer]


CALL = ("tool", '{"call": "weather", "arguments": "{\\"city\\": \\"Lisbon\\"}", "id": "call_1"}')
KEPT = {
    "refusal": [("assistant", "I cannot say.")],
    "two tools": [CALL, ("tool", '{"call": "time", "arguments": "{}", "id": "call_2"}')],
    "custom tool": [("tool", '{"call": "shell", "arguments": "ls -l", "id": "call_1"}')],
    "words and a tool": [("assistant", "Let me see."), CALL],
    "cut for length": [("assistant", "Your name")],
}
