from __future__ import annotations

import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.errors import InvalidInput
from agentmem.portability import conversations, jsonfiles
from agentmem.portability.found import Found, FoundTurn, Problem, Skipped
from agentmem.records import Turn


def lines(*values: Any, name: str = "turns.jsonl") -> list[Found]:
    raw = b"\n".join(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)
    return list(conversations.from_lines(io.BytesIO(raw), name))


def whole(value: Any, name: str = "chat.json") -> list[Found]:
    return list(conversations.from_json(io.BytesIO(json.dumps(value).encode()), name))


def turns(found: Sequence[Found]) -> list[Turn]:
    assert all(isinstance(each, FoundTurn) for each in found), found
    return [each.turn for each in found if isinstance(each, FoundTurn)]


def problem(found: Sequence[Found]) -> Problem:
    (only,) = found
    assert isinstance(only, Problem)
    return only


# --- turns and messages ---------------------------------------------------------------------------


def test_a_line_may_say_everything_a_turn_can() -> None:
    (turn,) = turns(
        lines(
            {
                "content": "I moved to Lisbon.",
                "role": "user",
                "speaker": "Ana",
                "occurred_at": "2026-05-03T09:00:00+02:00",
                "session": "monday",
                "kind": "lesson",
                "metadata": {"topic": "home"},
                "importance": 0.5,
                "affect": {"valence": 0.5, "label": "glad"},
                "integrity": "web",
                "expires_at": "2027-01-01T00:00:00Z",
                "idempotency_key": "k",
                "derived_from": ["a"],
            }
        )
    )
    assert turn.occurred_at is not None
    assert turn.occurred_at.astimezone(UTC) == datetime(2026, 5, 3, 7, tzinfo=UTC)
    assert (turn.speaker, turn.session, turn.kind, turn.importance) == ("Ana", "monday", "lesson", 0.5)
    assert turn.affect is not None
    assert (turn.affect.label, turn.integrity, turn.idempotency_key) == ("glad", "web", "k")
    assert turn.derived_from == ("a",)


def test_openai_messages_come_as_lines_as_a_list_and_inside_messages() -> None:
    said = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi", "name": "ana"}]
    for found in (lines(*said), whole(said), whole({"messages": said}), lines({"messages": said})):
        first, second = turns(found)
        assert (first.role, first.content, second.speaker) == ("system", "Be kind.", "ana")


def test_parts_that_are_no_text_are_left_out_and_messages_without_words_counted() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    found = lines(
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, image, {"type": "text", "text": "a cat"}]},
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]},
    )
    assert isinstance(found[0], FoundTurn)
    assert found[0].turn.content == "Look:\na cat"
    assert found[1:] == [Skipped("message without words")] * 2


def test_roles_of_other_names_are_known() -> None:
    found = lines({"role": "developer", "content": "x"}, {"role": "function", "content": "y"})
    assert [turn.role for turn in turns(found)] == ["system", "tool"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"content": "x"', "not JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0 of the line"),
        (b"[1, 2]", "no JSON object"),
        (b"7", "no JSON object"),
        (b'{"text": "x"}', "neither a turn ('content')"),
        (b'{"role": "user"}', "'content' is missing"),
        (b'{"content": 5}', "content: input should be a valid string"),
        (b'{"content": "x", "spaker": "ana"}', "there is no key 'spaker'. Did you mean 'speaker'?"),
        (b'{"content": "x", "role": "robot"}', "there is no role 'robot'"),
        (b'{"content": "x", "occurred_at": "2026-05-03T09:00:00"}', "occurred_at"),
        (b'{"content": "x", "occurred_at": "yesterday"}', "occurred_at"),
        (b'{"content": "x", "kind": "document"}', "kind"),
        (b'{"content": "x", "affect": {"valence": 5}}', "affect.valence must be a number from -1 to 1"),
        (b'{"content": "x", "importance": NaN}', "NaN is no JSON number"),
        (b'{"content": "x", "importance": ' + b"9" * 5000 + b"}", "a number of 5,000 digits"),
        (b'{"content": "x", "metadata": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "nested deeper than 32"),
        (b'{"content": ' + b"[" * 100_000, "nested deeper than 32"),
        (b'{"content": "' + b"x" * (1 << 20) + b'"}', "longer than 1,048,576 bytes"),
    ],
)
def test_a_line_that_cannot_be_taken_is_named_and_the_next_is_read(line: bytes, reason: str) -> None:
    found = lines({"content": "before"}, line, {"content": "after"})
    assert [turn.content for turn in turns([found[0], found[2]])] == ["before", "after"]
    refused = problem(found[1:2])
    assert refused.place == "turns.jsonl:2"
    assert reason in refused.reason


def test_blank_lines_and_a_byte_order_mark_are_no_records() -> None:
    assert [turn.content for turn in turns(lines(b'\xef\xbb\xbf{"content": "x"}', b"", b"  "))] == ["x"]


def test_jsonl_under_the_name_of_json_is_read() -> None:
    raw = b'{"content": "a"}\n{"content": "b"}\n'
    assert [turn.content for turn in turns(list(conversations.from_json(io.BytesIO(raw), "x.json")))] == ["a", "b"]


# --- keys -----------------------------------------------------------------------------------------


def keys(*values: Any, name: str = "turns.jsonl") -> list[str | None]:
    return [turn.idempotency_key for turn in turns(lines(*values, name=name))]


def test_the_same_file_gives_the_same_keys_and_every_line_its_own() -> None:
    said = [{"content": "ok"}, {"content": "ok"}, {"role": "assistant", "content": "ok"}]
    assert keys(*said) == keys(*said)
    assert len(set(keys(*said))) == 3


def test_lines_may_be_added_behind_without_changing_the_keys_before() -> None:
    said = [{"content": "one"}, {"content": "two"}]
    assert keys(*said, {"content": "three"})[:2] == keys(*said)


def test_the_same_words_in_another_conversation_are_another_turn() -> None:
    assert set(keys({"content": "ok"}, name="a.jsonl")).isdisjoint(keys({"content": "ok"}, name="b.jsonl"))
    conversation = {"messages": [{"role": "user", "content": "ok"}]}
    assert len(set(keys(conversation, conversation))) == 2
    assert len(set(keys({"content": "ok", "session": "a"}, {"content": "ok", "session": "b"}))) == 2


def test_a_conversation_with_an_id_keeps_its_keys_when_it_grows_or_the_file_is_renamed() -> None:
    said = [{"role": "user", "content": "one"}]
    more = [*said, {"role": "user", "content": "two"}]
    before = keys({"id": "c1", "messages": said})
    assert keys({"id": "c1", "messages": more}, name="new.jsonl")[:1] == before


# --- ChatGPT --------------------------------------------------------------------------------------


def node(
    id: str,
    parent: str | None,
    text: Any = None,
    *,
    role: str = "user",
    children: Sequence[str] = (),
    **message: Any,
) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]} if isinstance(text, str) else text
    said = {"id": id, "author": {"role": role}, "content": content, "create_time": 1_780_000_000.5, "metadata": {}}
    return {"id": id, "parent": parent, "children": list(children), "message": {**said, **message} if text else None}


def chat(*nodes: dict[str, Any], **details: Any) -> dict[str, Any]:
    mapping = {each["id"]: each for each in nodes}
    return {"conversation_id": "c1", "title": "Bowls", "create_time": 1_770_000_000, "mapping": mapping, **details}


def test_of_a_chatgpt_conversation_the_branch_last_seen_is_read_in_order() -> None:
    found = whole(
        [
            chat(
                node("root", None, children=["q"]),
                node("q", "root", "Which glaze?", children=["a1", "a2"]),
                node("a1", "q", "Celadon.", role="assistant"),
                node("a2", "q", "Tenmoku.", role="assistant", children=["q2"]),
                node("q2", "a2", "Why?"),
                current_node="q2",
            )
        ]
    )
    assert [(turn.role, turn.content) for turn in turns(found)] == [
        ("user", "Which glaze?"),
        ("assistant", "Tenmoku."),
        ("user", "Why?"),
    ]
    (first, *_) = turns(found)
    assert (first.session, first.metadata) == ("c1", {"title": "Bowls"})
    assert first.occurred_at == datetime.fromtimestamp(1_780_000_000.5, UTC)


def test_without_a_current_node_the_newest_leaf_is_taken() -> None:
    found = whole(
        [
            chat(
                node("q", None, "Which?", children=["a1", "a2"]),
                node("a1", "q", "New.", role="assistant", create_time=1_790_000_000),
                node("a2", "q", "Old.", role="assistant"),
            )
        ]
    )
    assert [turn.content for turn in turns(found)] == ["Which?", "New."]


def test_what_was_never_shown_is_counted_and_parts_may_be_objects() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    spoken = {"content_type": "audio_transcription", "text": "and spoken words"}
    found = whole(
        [
            chat(
                node("s", None, "You are…", role="system", metadata={"is_visually_hidden_from_conversation": True}),
                node("m", "s", {"content_type": "multimodal_text", "parts": [picture, "words", spoken]}),
                node("i", "m", {"content_type": "multimodal_text", "parts": [picture]}),
                node("c", "i", {"content_type": "code", "text": "1+1"}, role="assistant"),
                node("t", "c", "search()", role="assistant", recipient="browser"),
                node("r", "t", "a page", role="tool"),
                current_node="r",
            )
        ]
    )
    assert [turn.content for turn in turns([each for each in found if isinstance(each, FoundTurn)])] == [
        "words\nand spoken words",
        "a page",
    ]
    assert [each.reason for each in found if isinstance(each, Skipped)] == [
        "hidden message",
        "message without words",
        "message of type code",
        "call of a tool",
    ]


def test_a_circle_of_parents_ends() -> None:
    found = whole([chat(node("a", "b", "one"), node("b", "a", "two"), current_node="a")])
    assert [turn.content for turn in turns(found)] == ["two", "one"]


@pytest.mark.parametrize(
    "broken", [None, 5, [], "x", {"message": 5}, {"message": {"content": {"content_type": "text"}}}]
)
def test_a_broken_node_breaks_nothing(broken: Any) -> None:
    conversation = chat(node("a", "b", "one"), current_node="a")
    conversation["mapping"]["b"] = broken
    assert [each.turn.content for each in whole([conversation]) if isinstance(each, FoundTurn)] == ["one"]


def test_a_conversation_without_an_id_is_a_problem() -> None:
    assert "no id" in problem(whole([chat(node("a", None, "x"), conversation_id=None)])).reason


# --- JSON as a stream -----------------------------------------------------------------------------


class Dribble(io.BytesIO):
    """Gives a few bytes at a time, as a slow file may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(size, 7) if size and size > 0 else 7)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(json_values, max_size=6), st.sampled_from([None, 2]))
def test_an_array_read_piece_by_piece_is_the_array(values: list[Any], indent: int | None) -> None:
    raw = json.dumps(values, ensure_ascii=False, indent=indent).encode("utf-8", "surrogatepass")
    assert list(jsonfiles.array_items(Dribble(raw))) == values


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a": 1}', "no JSON array"),
        (b'["a", "b"', "ends before its array does"),
        (b'["a" "b"]', "a comma is missing"),
        (b'["a", \xff]', "not UTF-8 near byte 6"),
        (b'["a", nope]', "not JSON"),
    ],
)
def test_an_array_that_is_none_says_where_it_stops(raw: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        list(jsonfiles.array_items(io.BytesIO(raw)))


def test_an_element_that_never_ends_is_given_up() -> None:
    with pytest.raises(InvalidInput, match="longer than 2,000,000 characters"):
        list(jsonfiles.array_items(io.BytesIO(b'["' + b"x" * 5_000_000 + b'"]'), limit=2_000_000))


def test_what_comes_before_a_break_is_kept() -> None:
    raw = json.dumps([{"role": "user", "content": "kept"}]).encode()[:-1] + b", {"
    found = list(conversations.from_json(io.BytesIO(raw), "chat.json"))
    assert [type(each) for each in found] == [FoundTurn, Problem]
    assert found[1].place == "chat.json[1]"  # type: ignore[union-attr]
