"""How calls and answers of OpenAI's two APIs are read, and where memory goes in them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.clients import Prepared
from agentmem.clients.openai.api import Api
from agentmem.clients.openai.chat import Chat
from agentmem.clients.openai.responses import Responses

STABLE = '<agentmem fence="1">\nwho is who\n</agentmem fence="1">'
VOLATILE = '<agentmem fence="2">\nwhat is known\n</agentmem fence="2">'
BOTH = Prepared(stable=STABLE, block=VOLATILE)
APIS = {"messages": Chat(), "input": Responses()}
apis = pytest.mark.parametrize("key", APIS)


class Model:
    """What an SDK model looks like from outside."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return dict(self.__dict__)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def placed(key: str, given: Any, prepared: Prepared = BOTH, **options: Any) -> Any:
    api = APIS[key]
    call = api.read({key: given, **options})
    assert call is not None
    return api.with_memory(call, prepared)[key]


# --- where memory goes ----------------------------------------------------------------------------


@apis
def test_the_stable_text_heads_the_first_words_and_the_volatile_one_the_last(key: str) -> None:
    conversation = [{"role": "system", "content": "Be brief."}, user("One."), {"role": "assistant", "content": "1"}]
    given = [*conversation, user("Two."), {"role": "assistant", "content": "2"}, user("Three.")]
    before = copy.deepcopy(given)
    sent = placed(key, given)
    assert given == before
    assert [message["content"] for message in sent] == [
        "Be brief.",
        f"{STABLE}\n\nOne.",
        "1",
        "Two.",
        "2",
        f"{VOLATILE}\n\nThree.",
    ]


@apis
def test_what_stands_before_the_last_words_is_the_same_from_call_to_call(key: str) -> None:
    history = [user("One."), {"role": "assistant", "content": "1"}, user("Two.")]
    first, second = placed(key, history[:1]), placed(key, history)
    assert first[0]["content"].startswith(STABLE) and second[0]["content"].startswith(STABLE)


@apis
def test_in_a_single_message_both_stand_side_by_side(key: str) -> None:
    assert placed(key, [user("One.")]) == [user(f"{STABLE}\n\n{VOLATILE}\n\nOne.")]


def test_an_input_of_plain_words_stays_one() -> None:
    assert placed("input", "One.") == f"{STABLE}\n\n{VOLATILE}\n\nOne."


@apis
def test_parts_stay_parts_of_the_apis_own_kind(key: str) -> None:
    kind = {"messages": "text", "input": "input_text"}[key]
    parts = [{"type": kind, "text": "One."}, {"type": "image_url"}]
    assert placed(key, [user(parts)]) == [user([{"type": kind, "text": f"{STABLE}\n\n{VOLATILE}"}, *parts])]


@apis
def test_messages_given_as_models_are_read_and_those_that_are_changed_become_mappings(key: str) -> None:
    answer = Model(role="assistant", content="1")
    sent = placed(key, [Model(role="user", content="One."), answer, Model(role="user", content="Two.")])
    assert sent == [user(f"{STABLE}\n\nOne."), answer, user(f"{VOLATILE}\n\nTwo.")]


@apis
@pytest.mark.parametrize(
    "given", [[], [{"role": "system", "content": "Hi."}], [user("")], [user(None)], [user([])], [7]]
)
def test_without_words_of_a_user_nothing_is_added(key: str, given: Any) -> None:
    assert APIS[key].with_memory({key: given}, BOTH)[key] == given


@apis
def test_an_empty_message_at_the_end_gets_nothing(key: str) -> None:
    assert placed(key, [user("One."), user("")]) == [user(f"{STABLE}\n\n{VOLATILE}\n\nOne."), user("")]


@apis
def test_words_that_are_only_an_image_are_words(key: str) -> None:
    (message,) = placed(key, [user([{"type": "input_image"}])])
    assert len(message["content"]) == 2


@apis
@pytest.mark.parametrize("given", [None, 7, {}, {"role": "user"}, object()])
def test_what_is_no_list_of_messages_is_not_read(key: str, given: Any) -> None:
    assert APIS[key].read({key: given}) is None
    assert APIS[key].read({}) is None


@pytest.mark.parametrize("where", ["previous_response_id", "conversation"])
def test_where_the_provider_keeps_the_input_both_go_behind_the_instructions(where: str) -> None:
    call = {"input": "One.", "instructions": "Be brief.", where: "x"}
    assert Responses().with_memory(call, BOTH) == {**call, "instructions": f"Be brief.\n\n{STABLE}\n\n{VOLATILE}"}


@apis
def test_without_memory_a_call_is_what_it_was(key: str) -> None:
    call = {key: [user("One.")], "previous_response_id": "x"}
    assert APIS[key].with_memory(call, Prepared()) is call


# --- what cannot be understood --------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "tool_calls", "function", "choices", "output", "name"]),
            inner | st.sampled_from(["user", "assistant", "tool", "message", "function_call", "x_call_output"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@apis
@given(messages=st.lists(anything, max_size=4))
def test_placing_memory_never_fails_and_changes_only_words_of_users(key: str, messages: list[Any]) -> None:
    before = copy.deepcopy(messages)
    sent = APIS[key].with_memory({key: messages}, BOTH)[key]
    assert messages == before
    for ours, theirs in zip(sent, messages, strict=True):
        assert ours == theirs or theirs["role"] == "user"


@apis
@given(messages=st.lists(anything, max_size=4), answer=anything)
def test_whatever_is_said_can_be_read(key: str, messages: list[Any], answer: Any) -> None:
    api = APIS[key]
    assert all(said.text.strip() for said in api.said({key: messages}))
    assert all(said.role != "user" for said in api.answered({"choices": [{"message": {"role": "assistant"}}]}))
    list(api.answered(answer))
    api.is_complete(answer), api.is_unfinished(answer)


# --- streams --------------------------------------------------------------------------------------


def heard(api: Api, *pieces: dict[str, Any]) -> tuple[list[tuple[str, str]], bool]:
    streamed = api.streamed()
    for piece in pieces:
        streamed.add(piece)
    return [(said.role, said.text) for said in streamed.said()], streamed.is_finished


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


def test_a_spoken_answer_is_kept_by_its_transcript() -> None:
    spoken = [delta(audio={"id": "a", "transcript": "Good "}), delta(audio={"data": "AA", "transcript": "day."})]
    assert heard(Chat(), *spoken) == ([("assistant", "Good day.")], False)
    message = {"role": "assistant", "content": None, "audio": {"transcript": "Good day."}}
    assert [said.text for said in Chat().answered({"choices": [{"message": message}]})] == ["Good day."]


def test_a_call_in_the_old_manner_is_kept_like_one_in_the_new() -> None:
    pieces = [delta(function_call={"name": "look", "arguments": ""}), delta(function_call={"arguments": "{}"})]
    kept = [("tool", '{"call": "look", "arguments": "{}", "id": null}')]
    assert heard(Chat(), *pieces) == (kept, False)
    message = {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}}
    assert [(said.role, said.text) for said in Chat().said({"messages": [message]})] == kept


def test_of_several_choices_only_the_first_is_kept() -> None:
    pieces = [{"choices": [{"index": index, "delta": {"content": word}}]} for index, word in enumerate("ab")]
    end = {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}
    assert heard(Chat(), *pieces, end) == ([("assistant", "a")], False)


def test_a_call_that_broke_off_is_kept_as_far_as_it_came() -> None:
    call = {"type": "function_call", "name": "look", "call_id": "c", "arguments": ""}
    added = {"type": "response.output_item.added", "output_index": 0, "item": call}
    piece = {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": '{"pla'}
    assert heard(Responses(), added, piece) == (
        [("tool", '{"call": "look", "arguments": "{\\"pla", "id": "c"}')],
        False,
    )


def test_a_response_that_failed_is_not_finished() -> None:
    part = {"type": "response.output_text.delta", "output_index": 0, "delta": "One"}
    failed = {"type": "response.failed", "response": {"output": []}}
    assert heard(Responses(), part, failed) == ([("assistant", "One")], False)
