"""Any function that asks a model remembers when it is wrapped, and stays the function it was."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import inspect
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest

from agentmem import MemoryManager, Scope, use_scope
from agentmem.clients import WrapOptions, memory_status, unwrap
from agentmem.context.rendering import without_blocks
from agentmem.errors import InvalidInput

PATIENT: Final = WrapOptions(deadline_s=30, write_deadline_s=30)
ANA: Final = Scope(user="ana", agent="coach", session="monday")
KNOWN: Final = "My name is Ana Marques."
ASKED: Final = "What is my name?"
SAID: Final = [("user", ASKED), ("assistant", "You are Ana.")]

OPENAI: Final = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "You are Ana."}}]}
ANTHROPIC: Final = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "You are Ana."}]}
MESSAGE: Final = {"role": "assistant", "content": "You are Ana."}
ANSWERS: Final = {"text": "You are Ana.", "openai": OPENAI, "anthropic": ANTHROPIC, "message": MESSAGE}


def chunk(words: str | None, finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": words}, "finish_reason": finish_reason}]}


def delta(words: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": words}}


PIECES: Final[dict[str, list[Any]]] = {
    "text": ["You ", "are ", "Ana."],
    "openai": [chunk("You "), chunk("are "), chunk("Ana."), chunk(None, "stop")],
    "anthropic": [delta("You "), delta("are "), delta("Ana."), {"type": "message_stop"}],
}


@pytest.fixture
def memory() -> Iterator[MemoryManager]:
    with MemoryManager.open("sqlite://", wrapping=PATIENT, extractor=None) as memory:
        memory.store(KNOWN, scope=Scope(user="ana", agent="coach", session="sunday"))
        yield memory


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def recorded(memory: MemoryManager) -> list[tuple[str, str]]:
    memory.flush()
    turns = memory.list(scope=ANA, kinds={"turn"}, where={"session": "monday"})
    return [(turn.role, turn.content) for turn in turns]


def completeness(memory: MemoryManager) -> list[bool]:
    memory.flush()
    turns = memory.list(scope=ANA, kinds={"turn"}, where={"session": "monday"})
    return [turn.metadata.get("complete", True) for turn in turns if turn.role == "assistant"]


class Model:
    """Gives the same answer in every way, and keeps what it was asked."""

    def __init__(self, answer: Any = "You are Ana.", pieces: list[Any] | None = None) -> None:
        self.answer = answer
        self.pieces = pieces or []
        self.fails_at: int | None = None
        self.asked: list[Any] = []

    def plain(self, messages: Any, *, temperature: float = 1.0) -> Any:
        """Asks the model."""
        self.asked.append(messages)
        return self._given(self.answer)

    async def coroutine(self, messages: Any) -> Any:
        return self.plain(messages)

    def generator(self, messages: Any) -> Iterator[Any]:
        self.asked.append(messages)
        for place, piece in enumerate(self.pieces):
            if place == self.fails_at:
                raise ConnectionError("scripted")
            yield piece

    async def async_generator(self, messages: Any) -> AsyncIterator[Any]:
        for piece in self.generator(messages):
            yield piece

    def returns_generator(self, messages: Any) -> Any:
        return self.generator(messages)

    def returns_stream(self, messages: Any) -> Any:
        return Stream(self.generator(messages))

    def returns_awaitable(self, messages: Any) -> Any:
        return self.coroutine(messages)

    async def coroutine_of_stream(self, messages: Any) -> Any:
        return Stream(self.generator(messages))

    async def coroutine_of_generator(self, messages: Any) -> Any:
        return self.async_generator(messages)

    def _given(self, answer: Any) -> Any:
        if self.fails_at is not None:
            raise ConnectionError("scripted")
        return answer


class Stream:
    """A stream for either kind of loop, with something of its own."""

    headers = "its own"

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces
        self.is_closed = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._pieces)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.is_closed = True


WHOLE: Final = ["plain", "coroutine", "returns_awaitable"]
STREAMS: Final = [
    "generator",
    "async_generator",
    "returns_generator",
    "returns_stream",
    "coroutine_of_stream",
    "coroutine_of_generator",
]


def outcome(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a caller gets of it: the pieces, then the type of what was returned, or what was raised."""

    async def got() -> Any:
        seen: list[Any] = []
        try:
            result = function(*args, **options)
            result = await result if inspect.isawaitable(result) else result
            if hasattr(result, "__anext__"):
                async for piece in result:
                    seen.append(piece)  # noqa: PERF401  what came before an error counts
            elif hasattr(result, "__next__"):
                seen.extend(result)
            else:
                return result
        except ConnectionError as error:
            return seen, type(error), str(error)
        return seen, result.__class__

    return asyncio.run(got())


# --- every kind of function -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("shape", ANSWERS)
def test_an_answer(memory: MemoryManager, kind: str, shape: str) -> None:
    model = Model(ANSWERS[shape])
    ask = getattr(model, kind)
    bare = outcome(ask, [user(ASKED)])
    assert outcome(memory.wrap_callable(ask, scope=ANA), [user(ASKED)]) is bare
    assert KNOWN in str(model.asked[-1])
    assert recorded(memory) == SAID


@pytest.mark.parametrize("kind", STREAMS)
@pytest.mark.parametrize("shape", PIECES)
def test_a_stream(memory: MemoryManager, kind: str, shape: str) -> None:
    model = Model(pieces=PIECES[shape])
    ask = getattr(model, kind)
    bare = outcome(ask, messages=[user(ASKED)])
    assert outcome(memory.wrap_callable(ask, scope=ANA), messages=[user(ASKED)]) == bare
    assert KNOWN in str(model.asked[-1])
    assert recorded(memory) == SAID
    assert completeness(memory) == [True]


@pytest.mark.parametrize("kind", [*WHOLE, *STREAMS])
def test_an_error_passes_through_and_what_came_is_recorded(memory: MemoryManager, kind: str) -> None:
    for place in range(3):
        model = Model(pieces=PIECES["text"])
        model.fails_at = place
        ask = getattr(model, kind)
        words = f"{ASKED} {place}"
        assert outcome(memory.wrap_callable(ask, scope=ANA), [user(words)]) == outcome(ask, [user(words)])
        assert recorded(memory).count(("user", words)) == 1
    came = ["You ", "You are "] if kind in STREAMS else []
    assert [words for role, words in recorded(memory) if role == "assistant"] == came
    assert completeness(memory) == [False] * len(came)


@pytest.mark.parametrize("kind", [*WHOLE, *STREAMS])
def test_the_function_stays_of_its_kind(memory: MemoryManager, kind: str) -> None:
    ask = getattr(Model(), kind)
    wrapped = memory.wrap_callable(ask, scope=ANA)
    for is_kind in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
    ):
        assert is_kind(wrapped) == is_kind(ask)
    assert inspect.signature(wrapped) == inspect.signature(ask)
    assert (wrapped.__name__, wrapped.__doc__) == (ask.__name__, ask.__doc__)
    assert unwrap(wrapped) == ask
    outcome(memory.wrap_callable(wrapped, scope=ANA), [user(ASKED)])
    assert len(recorded(memory)) <= 2


@pytest.mark.parametrize("shape", ["openai", "anthropic"])
def test_a_stream_that_ends_without_saying_so_is_incomplete(memory: MemoryManager, shape: str) -> None:
    model = Model(pieces=PIECES[shape][:2])
    list(memory.wrap_callable(model.generator, scope=ANA)([user(ASKED)]))
    assert recorded(memory) == [("user", ASKED), ("assistant", "You are ")]
    assert completeness(memory) == [False]


def test_streams_that_are_left_early_are_incomplete(memory: MemoryManager) -> None:
    model = Model(pieces=PIECES["text"])
    generate = memory.wrap_callable(model.generator, scope=ANA)
    generate([user("never read")])
    assert model.asked == []
    closed = generate([user("one")])
    next(closed)
    closed.close()
    stream = memory.wrap_callable(model.returns_stream, scope=ANA)
    with stream([user("two")]) as left:
        assert isinstance(left, Stream)
        assert left.headers == "its own"
        next(left)
    assert left.is_closed
    abandoned = stream([user("three")])
    next(abandoned)
    assert hasattr(abandoned, "close")
    del abandoned
    gc.collect()

    async def leave() -> None:
        pieces = memory.wrap_callable(model.async_generator, scope=ANA)([user("four")])
        await anext(pieces)
        await pieces.aclose()

    asyncio.run(leave())
    eventually(lambda: len(recorded(memory)) == 8)
    assert [words for role, words in recorded(memory) if role == "assistant"] == ["You "] * 4
    assert completeness(memory) == [False] * 4


# --- messages -------------------------------------------------------------------------------------


def test_messages_of_an_unknown_make_are_given_as_they_are(memory: MemoryManager) -> None:
    given: list[Any] = []

    def complete(messages: list[Any]) -> str:
        given.extend(messages)
        return "You are Ana."

    odd = SimpleNamespace(role="user", content=ASKED)
    memory.wrap_callable(complete, scope=ANA, strict=True)([odd])
    assert given == [odd]
    assert recorded(memory) == SAID


def test_a_generator_is_sent_and_thrown_what_its_caller_sends_and_throws(memory: MemoryManager) -> None:
    def talking(prompt: str) -> Generator[str, str, str]:
        answer = yield "What is it? "
        try:
            yield f"{answer}. "
        except ValueError as error:
            yield f"Not {error}."
        return "done"

    async def talking_async(prompt: str) -> AsyncGenerator[str, str]:
        answer = yield "What is it? "
        try:
            yield f"{answer}. "
        except ValueError as error:
            yield f"Not {error}."

    async def talk() -> list[str]:
        talk = memory.wrap_callable(talking_async, scope=ANA, messages_arg="prompt")("And now?")
        said = [await anext(talk), await talk.asend("Tea"), await talk.athrow(ValueError("tea"))]
        with pytest.raises(StopAsyncIteration):
            await anext(talk)
        return said

    talked = memory.wrap_callable(talking, scope=ANA, messages_arg="prompt")("What?")
    expected = ["What is it? ", "Tea. ", "Not tea."]
    assert [next(talked), talked.send("Tea"), talked.throw(ValueError("tea"))] == expected
    with pytest.raises(StopIteration) as ended:
        next(talked)
    assert ended.value.value == "done"
    assert asyncio.run(talk()) == expected
    answer = ("assistant", "What is it? Tea. Not tea.")
    assert recorded(memory) == [("user", "What?"), answer, ("user", "And now?"), answer]


def test_one_string_is_what_the_user_says(memory: MemoryManager) -> None:
    asked: list[str] = []

    def ask(prompt: str, /, model: str = "some") -> str:
        asked.append(prompt)
        return "You are Ana."

    wrapped = memory.wrap_callable(ask, scope=ANA, messages_arg="prompt")
    assert wrapped(ASKED) == "You are Ana."
    assert KNOWN in asked[0]
    assert without_blocks(asked[0]) == ASKED
    assert recorded(memory) == SAID


def test_what_the_caller_gave_is_not_changed_and_a_history_is_recorded_once(memory: MemoryManager) -> None:
    model = Model(OPENAI)
    wrapped = memory.wrap_callable(model.plain, scope=ANA)
    history = [{"role": "system", "content": "Be brief."}, user(ASKED)]
    given = copy.deepcopy(history)
    wrapped(messages=history, temperature=0.5)
    assert history == given
    assert model.asked[-1][0] == given[0]
    wrapped(iter([*history, MESSAGE, user(iter([{"type": "text", "text": "And now?"}]))]))
    assert model.asked[-1][-1]["content"][-1] == {"type": "text", "text": "And now?"}
    assert recorded(memory) == [*SAID, ("user", "And now?"), ("assistant", "You are Ana.")]


def test_a_function_may_write_into_the_list_that_it_is_given(memory: MemoryManager) -> None:
    def chat(messages: list[Any]) -> str:
        messages.append(MESSAGE)
        return "You are Ana."

    history = [user("Xyzzy?")]
    memory.wrap_callable(chat, scope=Scope(user="nobody", session="new"))(history)
    assert history == [user("Xyzzy?"), MESSAGE]


def test_tools_of_either_api_are_recorded_as_tools(memory: MemoryManager) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    model = Model({"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call]}}]})
    wrapped = memory.wrap_callable(model.plain, scope=ANA)
    answer = wrapped([user(ASKED)])["choices"][0]["message"]
    model.answer = {"content": [{"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}}]}
    history = [user(ASKED), answer, {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}]
    called = {"role": "assistant", **wrapped(history)}
    model.answer = "You are Ana."
    result = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "Noon."}
    wrapped([*history, called, user([result])])
    assert model.asked[-1][-1] == user([result])
    assert recorded(memory) == [
        ("user", ASKED),
        ("tool", '{"call": "weather", "arguments": "{}", "id": "call_1"}'),
        ("tool", "Rain."),
        ("tool", '{"call": "time", "arguments": {}, "id": "toolu_2"}'),
        ("tool", "Noon."),
        ("assistant", "You are Ana."),
    ]


@pytest.mark.parametrize("messages", [None, 7, [], [None, 7, "words", {"role": "user"}, user(7)], {"role": "user"}])
@pytest.mark.parametrize("answer", [None, 7, {}, [], {"choices": []}, {"choices": [7]}, {"content": 7}, object()])
def test_odd_messages_and_answers_pass_through(memory: MemoryManager, messages: Any, answer: Any) -> None:
    model = Model(answer)
    assert memory.wrap_callable(model.plain, scope=ANA)(messages) is answer
    assert model.asked == [messages]


def test_a_call_without_messages_fails_as_without_memory(memory: MemoryManager) -> None:
    model = Model()
    with pytest.raises(TypeError) as bare:
        model.plain()  # type: ignore[call-arg]  # on purpose
    with pytest.raises(TypeError) as wrapped:
        memory.wrap_callable(model.plain, scope=ANA)()  # type: ignore[call-arg]  # on purpose
    assert str(wrapped.value) == str(bare.value)


# --- wrapping -------------------------------------------------------------------------------------


def test_a_function_without_such_an_argument_is_refused_with_those_it_has(memory: MemoryManager) -> None:
    with pytest.raises(InvalidInput, match=r"complete takes no 'messages'.*messages_arg=.*prompt, model"):
        memory.wrap_callable(lambda_named("complete"), scope=ANA)


def test_a_function_given_as_a_client_is_refused_with_the_verb_that_takes_it(memory: MemoryManager) -> None:
    with pytest.raises(InvalidInput, match="for a function use wrap_callable"):
        memory.wrap(Model().plain, scope=ANA)


def lambda_named(name: str) -> Callable[[str, str], str]:
    def function(prompt: str, model: str) -> str:
        return prompt

    function.__qualname__ = name
    return function


def test_partials_and_callable_objects_are_functions_too(memory: MemoryManager) -> None:
    class Callable_:
        def __call__(self, model: str, messages: Any) -> str:
            return "You are Ana."

    bound = functools.partial(Callable_(), "some")
    assert memory.wrap_callable(bound, scope=ANA)([user(ASKED)]) == "You are Ana."
    assert recorded(memory) == SAID


def test_a_memory_bound_to_a_scope_wraps_for_it(memory: MemoryManager) -> None:
    memory.bind(ANA).wrap_callable(Model().plain)([user(ASKED)])
    assert recorded(memory) == SAID


def test_a_scope_of_the_moment_is_used(memory: MemoryManager) -> None:
    wrapped = memory.wrap_callable(Model().plain)
    wrapped([user("nobody's")])
    assert memory_status(wrapped) == "off"
    with use_scope(ANA):
        wrapped([user(ASKED)])
    assert recorded(memory) == SAID


def test_a_failing_memory_never_fails_the_call(memory: MemoryManager) -> None:
    model = Model(pieces=PIECES["text"])
    whole, pieces = (memory.wrap_callable(each, scope=ANA) for each in (model.plain, model.generator))
    memory.close()
    assert whole([user(ASKED)]) == "You are Ana."
    assert list(pieces([user(ASKED)])) == PIECES["text"]
    assert memory_status(whole) != "ok"


def test_models_of_an_sdk_are_read_by_their_fields(memory: MemoryManager) -> None:
    message = SimpleNamespace(role="assistant", content="You are Ana.", tool_calls=None)
    model = Model(SimpleNamespace(choices=[SimpleNamespace(index=0, message=message)]))
    memory.wrap_callable(model.plain, scope=ANA)([user(ASKED)])
    assert recorded(memory) == SAID


# --- litellm --------------------------------------------------------------------------------------


def test_litellm_completions_are_remembered(memory: MemoryManager) -> None:
    litellm = pytest.importorskip("litellm", reason="needs `pip install litellm`")
    how: dict[str, Any] = {"model": "gpt-4o", "mock_response": "You are Ana."}
    complete = memory.wrap_callable(litellm.completion, scope=ANA)
    assert type(complete(messages=[user(ASKED)], **how)) is litellm.ModelResponse
    stream = complete(messages=[user("And now?")], stream=True, **how)
    assert isinstance(stream, litellm.CustomStreamWrapper)
    assert "".join(piece.choices[0].delta.content or "" for piece in stream) == "You are Ana."

    async def talk() -> None:
        acomplete = memory.wrap_callable(litellm.acompletion, scope=ANA)
        await acomplete(messages=[user("And again?")], **how)
        async for _ in await acomplete(messages=[user("And in the end?")], stream=True, **how):
            pass

    asyncio.run(talk())
    asked = [ASKED, "And now?", "And again?", "And in the end?"]
    assert [words for role, words in recorded(memory) if role == "user"] == asked
    assert [words for role, words in recorded(memory) if role == "assistant"] == ["You are Ana."] * 4
    assert completeness(memory) == [True] * 4


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
