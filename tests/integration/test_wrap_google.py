"""A wrapped Gemini client returns and raises what the bare one does, and remembers: the real SDK on loopback."""

from __future__ import annotations

import asyncio
import copy
import gc
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import pytest
from google_server import Answer, GoogleServer, call, chunks, serving
from openai_shapes import Call, Shape, read, settled

from agentmem import MemoryManager, Scope, use_scope
from agentmem.clients import Attached, WrapOptions, memory_status, unwrap
from agentmem.context.rendering import without_blocks
from agentmem.errors import InvalidInput

genai = pytest.importorskip("google.genai", reason='the wrapper needs `pip install "pyagentmem[google]"`')
types = genai.types

PATIENT: Final = WrapOptions(deadline_s=30, write_deadline_s=30)
KNOWN: Final = "My name is Ana Marques."
ASKED: Final = "What is my name?"
Side = Literal["sync", "async"]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[GoogleServer]:
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
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def made(server: GoogleServer, **how: Any) -> Any:
    return genai.Client(api_key="none", http_options=types.HttpOptions(base_url=server.url, **how))


@pytest.fixture(scope="module")
def bare(server: GoogleServer, runner: asyncio.Runner) -> Iterator[Any]:
    client = made(server, timeout=20_000)
    yield client
    runner.run(client.aio.aclose())
    client.close()


@pytest.fixture
def client(bare: Any, server: GoogleServer) -> Any:
    server.answers.clear()
    return bare


def recorded(memory: MemoryManager, scope: Scope) -> list[tuple[str, str]]:
    memory.flush()
    turns = memory.list(scope=scope, kinds={"turn"}, where={"session": scope.session or "now"})
    return [(turn.role, turn.content) for turn in turns]


# --- every way to ask -----------------------------------------------------------------------------

SHAPES: Final[list[Shape]] = []
HOW: Final[dict[str, Any]] = {"model": "scripted"}


def shape(*, streams: bool = False) -> Callable[[Call], Call]:
    def noted(call: Call) -> Call:
        SHAPES.append(Shape(call, streams=streams))
        return call

    return noted


def history() -> list[Any]:
    return [
        types.UserContent(parts=[types.Part(text="Hello.")]),
        types.ModelContent(parts=[types.Part(text="Hello!")]),
        {"role": "user", "parts": [{"text": ASKED}]},
    ]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"Rain in {city}."


@shape()
async def generate(client: Any, seen: list[Any]) -> Any:
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5)
    return await settled(client.models.generate_content(contents=ASKED, config=config, **HOW))


@shape()
async def generate_from_history(client: Any, seen: list[Any]) -> Any:
    return await settled(client.models.generate_content(contents=history(), **HOW))


@shape()
async def generate_from_parts(client: Any, seen: list[Any]) -> Any:
    image = types.Part.from_bytes(data=b"AAAA", mime_type="image/png")
    return await settled(client.models.generate_content(contents=[ASKED, image], **HOW))


@shape()
async def generate_with_functions(client: Any, seen: list[Any]) -> Any:
    config = types.GenerateContentConfig(tools=[weather])
    return await settled(client.models.generate_content(contents=history(), config=config, **HOW))


@shape()
async def chat(client: Any, seen: list[Any]) -> Any:
    chat = client.chats.create(history=history()[:2], **HOW)
    answer = await settled(chat.send_message(ASKED))
    return answer, chat.get_history()


@shape(streams=True)
async def stream(client: Any, seen: list[Any]) -> Any:
    return await read(await settled(client.models.generate_content_stream(contents=history(), **HOW)), seen)


@shape(streams=True)
async def stream_with_functions(client: Any, seen: list[Any]) -> Any:
    config = types.GenerateContentConfig(tools=[weather])
    asked = client.models.generate_content_stream(contents=ASKED, config=config, **HOW)
    return await read(await settled(asked), seen)


@shape(streams=True)
async def chat_stream(client: Any, seen: list[Any]) -> Any:
    chat = client.chats.create(**HOW)
    await read(await settled(chat.send_message_stream(ASKED)), seen)
    return chat.get_history()


def shown(result: Any) -> Any:
    if isinstance(result, tuple | list):
        return [shown(each) for each in result]
    if hasattr(result, "model_dump"):
        return type(result), result.model_dump(mode="json", exclude={"sdk_http_response"}, warnings=False)
    return result


def raised(error: BaseException | None) -> Any:
    if error is None:
        return None
    return type(error), str(error), getattr(error, "code", None), raised(error.__cause__)


async def outcome(shape: Shape, client: Any) -> Any:
    seen: list[Any] = []
    try:
        end = shown(await shape.call(client, seen))
    except Exception as error:  # noqa: BLE001  whatever it is, it has to be the same
        end = raised(error)
    return [shown(piece) for piece in seen], end


Both = Callable[..., Any]


@pytest.fixture
def both(server: GoogleServer, memory: MemoryManager, bare: Any, runner: asyncio.Runner) -> Both:
    """The outcome with memory, after it was found to be the same as without."""

    def both(shape: Shape, side: Side, scope: Scope, *script: Answer, client: Any = bare) -> Any:
        came = []
        for each in (client, memory.wrap(client, scope=scope)):
            server.requests.clear()
            server.answers.clear()
            server.will(*script)
            asked = runner.run(outcome(shape, each if side == "sync" else each.aio))
            came.append((asked, len(server.requests), len(server.answers)))
        bare, wrapped = came
        assert wrapped == bare
        return wrapped[0]

    return both


named = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
sided = pytest.mark.parametrize("side", ["sync", "async"])
in_pieces = pytest.mark.parametrize("shape", [each for each in SHAPES if each.streams], ids=lambda shape: shape.name)


def since_asked(memory: MemoryManager, scope: Scope) -> list[tuple[str, str]]:
    said = [(role, words.strip()) for role, words in recorded(memory, scope)]
    return next(said[place:] for place, (_, words) in enumerate(said) if words.startswith(ASKED))


@named
@sided
def test_an_answer(
    shape: Shape, side: Side, both: Both, server: GoogleServer, memory: MemoryManager, scope: Scope
) -> None:
    both(shape, side, scope, Answer(({"text": "I think.", "thought": True}, {"text": "Your name is Ana"})))
    assert KNOWN in server.prompt
    assert [words for _, words in since_asked(memory, scope)][1:] == ["Your name is Ana"]
    assert len(recorded(memory, scope)) in (2, 4)


@sided
@pytest.mark.parametrize("shape", [each for each in SHAPES if "functions" in each.name], ids=lambda shape: shape.name)
def test_functions_that_the_sdk_calls_are_recorded_with_the_answer(
    shape: Shape, side: Side, both: Both, server: GoogleServer, memory: MemoryManager, scope: Scope
) -> None:
    script = Answer((call("weather", city="Lisbon"),)), Answer((call("weather", city="Porto"),)), Answer()
    both(shape, side, scope, *script)
    assert KNOWN in server.prompt
    assert since_asked(memory, scope) == [
        ("user", ASKED),
        ("tool", '{"call": "weather", "arguments": {"city": "Lisbon"}, "id": null}'),
        ("tool", '{"result": "Rain in Lisbon."}'),
        ("tool", '{"call": "weather", "arguments": {"city": "Porto"}, "id": null}'),
        ("tool", '{"result": "Rain in Porto."}'),
        ("assistant", "Understood."),
    ]


FAULTS: Final[dict[str, Answer]] = {
    "rate limit": Answer(status=429),
    "server error": Answer(status=500),
    "refused": Answer(status=400),
    "half a JSON": Answer(body=b'{"candidates": [{"con'),
    "no JSON": Answer(body=b"<html>"),
    "no candidates": Answer(body=b'{"promptFeedback": {"blockReason": "SAFETY"}}'),
    "cut": Answer(cut_after=0),
    "reset": Answer(cut_after=0, resets=True),
}


@named
@sided
@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_on_the_way(
    shape: Shape, side: Side, fault: str, both: Both, memory: MemoryManager, scope: Scope
) -> None:
    both(shape, side, scope, FAULTS[fault])
    assert len(since_asked(memory, scope)) == 1


@sided
def test_a_call_that_the_sdk_tries_again_is_recorded_once(
    side: Side, both: Both, server: GoogleServer, memory: MemoryManager, scope: Scope
) -> None:
    retries = types.HttpRetryOptions(attempts=3, initial_delay=0.001, max_delay=0.002)
    client = made(server, retry_options=retries)
    both(SHAPES[0], side, scope, Answer(status=500), Answer(status=503), Answer(), client=client)
    assert len(server.requests) == 3
    assert since_asked(memory, scope) == [("user", ASKED), ("assistant", "Understood.")]


@sided
def test_a_model_that_hangs(side: Side, both: Both, server: GoogleServer, memory: MemoryManager, scope: Scope) -> None:
    _, error = both(SHAPES[0], side, scope, Answer(hang_s=1), client=made(server, timeout=100))
    assert "Timeout" in error[0].__name__
    assert recorded(memory, scope) == [("user", ASKED)]


@in_pieces
@sided
@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
def test_a_stream_that_breaks_at_any_chunk(
    shape: Shape, side: Side, resets: bool, both: Both, memory: MemoryManager
) -> None:
    whole = Answer(({"text": "one two three"},))
    for place in range(1, len(chunks(whole))):
        scope = Scope(user=f"cut-{next(_numbers)}", session="now")
        both(shape, side, scope, Answer(whole.parts, cut_after=place, resets=resets))
        memory.flush()
        turns = memory.list(scope=scope, kinds={"turn"}, where={"session": "now"})
        answers = [turn for turn in turns if turn.role == "assistant" and turn.content != "Hello!"]
        if not resets:  # what was on its way may be lost then
            assert [turn.content for turn in answers] == ["".join(["one ", "two "][:place])]
        assert [turn.metadata for turn in answers] == [{"complete": False}] * len(answers)


# --- the same client ------------------------------------------------------------------------------


def test_the_copy_has_the_same_types_and_the_callers_client_is_untouched(
    memory: MemoryManager, client: Any, scope: Scope
) -> None:
    before = copy.copy(vars(client)), copy.copy(vars(client.models)), copy.copy(vars(client.aio))
    wrapped = memory.wrap(client, scope=scope)
    assert type(wrapped) is genai.Client
    assert type(wrapped.models) is type(client.models)
    assert type(wrapped.aio) is type(client.aio)
    assert (vars(client), vars(client.models), vars(client.aio)) == before
    assert isinstance(wrapped.__agentmem__, Attached)
    assert unwrap(wrapped) is client
    assert memory.wrap(wrapped, scope=scope) is wrapped
    client.models.generate_content(model="scripted", contents=ASKED)
    assert recorded(memory, scope) == []


def test_dropping_the_copy_leaves_the_callers_client_open_and_closing_it_does_not(
    memory: MemoryManager, server: GoogleServer, scope: Scope
) -> None:
    client = made(server)
    wrapped = memory.wrap(client, scope=scope)
    del wrapped
    gc.collect()
    assert client.models.generate_content(model="scripted", contents=ASKED).text == "Understood."
    with memory.wrap(client, scope=scope) as wrapped:
        wrapped.models.generate_content(model="scripted", contents=ASKED)
    with pytest.raises(RuntimeError, match="closed"):
        client.models.generate_content(model="scripted", contents=ASKED)


def test_the_async_client_can_be_wrapped_by_itself(
    memory: MemoryManager, client: Any, scope: Scope, runner: asyncio.Runner
) -> None:
    wrapped = memory.wrap(client.aio, scope=scope)
    assert type(wrapped) is type(client.aio)
    runner.run(wrapped.models.generate_content(model="scripted", contents=ASKED))
    assert recorded(memory, scope) == [("user", ASKED), ("assistant", "Understood.")]


def test_other_clients_of_google_are_refused_by_name(memory: MemoryManager, client: Any) -> None:
    with pytest.raises(InvalidInput, match="Models"):
        memory.wrap(client.models)
    storage = type("Client", (), {"__module__": "google.cloud.storage.client"})
    with pytest.raises(InvalidInput, match=r"google\.cloud\.storage\.client\.Client"):
        memory.wrap(storage())


# --- what is sent and recorded --------------------------------------------------------------------


def test_memories_stand_in_front_of_the_users_words_and_nothing_else_changes(
    memory: MemoryManager, server: GoogleServer, client: Any, scope: Scope
) -> None:
    sent = history()
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5)
    memory.wrap(client, scope=scope).models.generate_content(model="scripted", contents=sent, config=config)
    assert sent == history()
    request = server.requests[-1]
    assert request["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert request["generationConfig"] == {"temperature": 0.5}
    said = [[part["text"] for part in content["parts"]] for content in request["contents"]]
    assert [[words for words in texts if without_blocks(words)] for texts in said] == [["Hello."], ["Hello!"], [ASKED]]
    assert KNOWN in server.prompt


def test_what_memory_gave_is_never_stored_as_said(
    memory: MemoryManager, server: GoogleServer, client: Any, scope: Scope
) -> None:
    wrapped = memory.wrap(client, scope=scope)
    wrapped.models.generate_content(model="scripted", contents=ASKED)
    as_sent = [types.Content.model_validate(content) for content in server.requests[-1]["contents"]]
    assert KNOWN in server.prompt
    again = [*as_sent, types.ModelContent(parts=[types.Part(text="Understood.")]), "Bye."]
    wrapped.models.generate_content(model="scripted", contents=again)
    assert [words for role, words in recorded(memory, scope) if role == "user"] == [ASKED, "Bye."]


def test_files_are_named_by_their_kind(memory: MemoryManager, client: Any, scope: Scope) -> None:
    kinds = ["image/png", "audio/wav", "application/pdf"]
    parts: list[Any] = [types.Part.from_uri(file_uri="gs://some/file", mime_type=kind) for kind in kinds]
    memory.wrap(client, scope=scope).models.generate_content(model="scripted", contents=[*parts, ASKED])
    assert recorded(memory, scope)[0] == ("user", f"[image]\n[audio]\n[file]\n{ASKED}")


@pytest.mark.parametrize("contents", [None, [], 7, {"role": "user"}, [{}], ""])
def test_odd_contents_are_taken_and_refused_as_without_memory(
    memory: MemoryManager, client: Any, scope: Scope, contents: Any
) -> None:
    def told(each: Any) -> Any:
        try:
            return shown(each.models.generate_content(model="scripted", contents=contents))
        except Exception as error:  # noqa: BLE001  whatever it is, it has to be the same
            return raised(error)

    assert told(memory.wrap(client, scope=scope)) == told(client)


def test_a_stream_that_is_left_early_is_recorded_as_incomplete_and_one_that_is_not_read_asks_nobody(
    memory: MemoryManager, server: GoogleServer, client: Any, scope: Scope, runner: asyncio.Runner
) -> None:
    wrapped = memory.wrap(client, scope=scope)
    server.will(*[Answer(({"text": "one two three"},))] * 3)
    server.requests.clear()
    wrapped.models.generate_content_stream(model="scripted", contents="never read")
    assert server.requests == []
    closed = wrapped.models.generate_content_stream(model="scripted", contents="count")
    assert next(closed).text == "one "
    closed.close()
    abandoned = wrapped.models.generate_content_stream(model="scripted", contents="again")
    next(abandoned)
    del abandoned
    gc.collect()

    async def leave() -> None:
        left = await wrapped.aio.models.generate_content_stream(model="scripted", contents="and again")
        await anext(left)
        await left.aclose()

    runner.run(leave())
    eventually(lambda: len(recorded(memory, scope)) == 6)
    answers = [turn for turn in memory.list(scope=scope, kinds={"turn"}) if turn.role == "assistant"]
    assert [(turn.content, turn.metadata) for turn in answers] == [("one ", {"complete": False})] * 3


def test_a_failing_memory_never_fails_the_call(client: Any, scope: Scope) -> None:
    with MemoryManager.open("sqlite://", wrapping=PATIENT) as closed:
        wrapped = closed.wrap(client, scope=scope)
    assert wrapped.models.generate_content(model="scripted", contents=ASKED).text == "Understood."
    assert memory_status(wrapped) != "ok"


def test_tasks_with_their_own_scopes_do_not_mix(memory: MemoryManager, client: Any, runner: asyncio.Runner) -> None:
    wrapped = memory.wrap(client)

    async def talk(name: str) -> None:
        with use_scope(Scope(user=name, session="now")):
            for place in range(3):
                await wrapped.aio.models.generate_content(model="scripted", contents=f"{name} says {place}")

    async def main() -> None:
        await asyncio.gather(*map(talk, ("bob", "eve", "joe")))

    runner.run(main())
    for name in ("bob", "eve", "joe"):
        said = [words for role, words in recorded(memory, Scope(user=name)) if role == "user"]
        assert said == [f"{name} says {place}" for place in range(3)]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
