"""What of a conversation is new: applications resend all of it, a window of it, or only the last words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentmem.clients import Said, say
from agentmem.clients.suffix import first_new, first_unsent


def conversation(text: str) -> list[Said]:
    """``"u:hi a:hello"`` as things said; u, a, c and t are user, assistant, its calls of tools, and tool."""
    roles = {"u": "user", "a": "assistant", "c": "tool", "t": "tool"}
    return [
        Said(roles[word[0]], word[2:], is_call=word[0] == "c")  # type: ignore[arg-type]  # they are roles
        for word in text.split()
    ]


def new(known: str, incoming: str, *, answered: bool = True) -> str:
    said = conversation(incoming)
    keys = [one.key for one in conversation(known)]
    start = first_new(keys, said, unanswered=None if answered else keys[-1])
    return " ".join(f"{one.role[0]}:{one.text}" for one in said[start:])


def test_everything_is_new_to_an_empty_session() -> None:
    assert new("", "u:hi a:hello u:more") == "u:hi a:hello u:more"


def test_history_resent_in_full_gives_only_what_follows() -> None:
    assert new("u:hi a:hello", "u:hi a:hello u:more") == "u:more"


def test_a_sliding_window_gives_only_what_follows() -> None:
    assert new("u:1 a:1 u:2 a:2", "a:1 u:2 a:2 u:3") == "u:3"


def test_a_window_under_a_summary_gives_only_what_follows() -> None:
    assert new("u:1 a:1 u:2 a:2", "u:summary u:2 a:2 u:3") == "u:3"


def test_a_repeated_ok_alone_is_said_again() -> None:
    assert new("u:ok a:fine", "u:ok") == "u:ok"


def test_a_repeated_ok_after_a_few_shot_prompt_is_said_again() -> None:
    assert new("u:q a:r u:ok a:fine", "u:q a:r u:ok") == "u:ok"


def test_an_ok_that_happens_to_head_other_words_is_no_overlap() -> None:
    assert new("u:hi a:hello u:ok", "u:ok u:and u:now") == "u:ok u:and u:now"


def test_a_repeated_ok_in_a_resent_history_is_kept() -> None:
    assert new("u:ok a:fine", "u:ok a:fine u:ok") == "u:ok"
    assert new("u:ok a:fine u:ok a:fine", "u:ok a:fine u:ok a:fine u:ok") == "u:ok"


def test_the_same_call_after_a_failure_says_nothing_new() -> None:
    assert new("u:hi", "u:hi", answered=False) == ""
    assert new("u:hi a:hello u:more", "u:hi a:hello u:more", answered=False) == ""


def test_an_unanswered_message_followed_by_another_is_not_said_twice() -> None:
    assert new("u:hi", "u:hi u:anyone", answered=False) == "u:anyone"


def test_going_back_in_the_conversation_gives_the_new_branch() -> None:
    assert new("u:1 a:1 u:2 a:2", "u:1 a:1 u:other") == "u:other"


def test_a_tool_loop_gives_only_the_result() -> None:
    assert new("u:1 t:call", "u:1 t:call t:result") == "t:result"


def test_a_tool_loop_that_is_resent_unchanged_says_nothing_new() -> None:
    assert new("u:1 t:call t:result a:x", "u:1 t:call t:result") == ""


def test_an_answer_resent_without_its_spaces_is_the_same_answer() -> None:
    assert Said("assistant", " Sure.\n").key == Said("assistant", "Sure.").key


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["ok", "no"])), max_size=12), st.integers(1, 12))
def test_a_conversation_sent_in_full_or_by_a_window_is_known_exactly_once(
    turns: list[tuple[str, str]], window: int
) -> None:
    history: list[Said] = []
    known: list[Said] = []
    for place, (words, answer) in enumerate(turns):
        # Distinct answers: a window that holds nothing but repeated words cannot be placed by anyone.
        history.append(Said("user", words))
        sent = history[-max(window, 3) :]
        known += sent[first_new([one.key for one in known], sent) :]
        history.append(Said("assistant", f"{answer}{place}"))
        known.append(history[-1])
    assert known == history


def test_blank_words_are_nothing_said() -> None:
    assert list(say("user", " \n")) == []


def test_words_that_no_store_can_hold_are_made_holdable() -> None:
    (said,) = say("user", "a\0b\ud800c")
    assert said.text == "a\ufffdb?c"


def test_words_too_long_for_one_turn_are_said_in_pieces() -> None:
    text = "é" * 600_000
    pieces = list(say("tool", text))
    assert "".join(piece.text for piece in pieces) == text
    assert max(len(piece.text.encode()) for piece in pieces) <= 1 << 20


# --- what no earlier call can have held -----------------------------------------------------------


def unsent(incoming: str) -> str:
    said = conversation(incoming)
    return " ".join(f"{one.role[0]}:{one.text}" for one in said[first_unsent(said) :])


def test_what_follows_the_last_answer_was_never_sent() -> None:
    assert unsent("u:1 a:1 u:2") == "u:2"
    assert unsent("u:1 a:1 u:2 u:3") == "u:2 u:3"


def test_what_follows_the_last_call_of_a_tool_was_never_sent() -> None:
    assert unsent("u:1 c:x c:y t:x t:y") == "t:x t:y"
    assert unsent("u:1 c:x t:x a:1 u:2") == "u:2"


def test_without_an_answer_only_the_last_message_was_never_sent() -> None:
    assert unsent("u:1 u:2") == "u:2"
    assert unsent("") == ""
