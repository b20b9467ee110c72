from __future__ import annotations

import re
import time
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentmem.chunking import Chunk, chunk
from agentmem.errors import InvalidInput
from agentmem.interfaces import TokenCounter
from agentmem.records import Document
from agentmem.tokens import EstimatedCounter


class Words(TokenCounter):
    """A token is a word."""

    name = "words"
    is_exact = True

    def count(self, text: str) -> int:
        return len(text.split())


class Quarters(TokenCounter):
    """A token is four characters, rounded down: parts cost less than the whole."""

    name = "quarters"
    is_exact = True

    def count(self, text: str) -> int:
        return len(text) // 4


class Heavy(TokenCounter):
    """Every character is three tokens."""

    name = "heavy"
    is_exact = True

    def count(self, text: str) -> int:
        return 3 * len(text)


MediaType = Literal["text/markdown", "text/plain"]


def cut(text: str, max_tokens: int = 50, media_type: MediaType = "text/markdown") -> list[Chunk]:
    return chunk(Document(text, "notes.md", media_type), max_tokens=max_tokens, counter=Words())


def paths(text: str, max_tokens: int = 50) -> list[tuple[tuple[str, ...], str]]:
    return [(each.source.headings, each.text) for each in cut(text, max_tokens)]


# --- what holds for every document ----------------------------------------------------------------

_MARKDOWN = """\
# A|## B b #|Title
=====|Sub
---|---|+++|```|~~~~|```py|    code|- item one|1. item two|> quote|Two words. And more!|#|#hashtag|key: value|記憶は\
"""
_ODD = [
    "| a | b |",
    "|---|:-:|",
    "a|b",
    "-|-",
    "\tcode",
    "\r",
    "",
    "x" * 60,
    "e\u0301",
    "🙂🙂",
    "\u2028",
    "\x0c",
    " ",
    "\u00a0",
]
_pieces = st.sampled_from([*_MARKDOWN.split("|"), *_ODD])
_documents = st.one_of(
    st.lists(_pieces, max_size=25).map("\n".join), st.text(max_size=200), st.text("#-=`~| \na.\r\t", max_size=120)
)


@settings(max_examples=300, deadline=None)
@given(
    _documents,
    st.integers(1, 30),
    st.sampled_from(["text/markdown", "text/plain"]),
    st.sampled_from([Words(), Quarters(), Heavy(), EstimatedCounter()]),
)
@example("---\na: 1\n---\n# T\n\ntext", 3, "text/markdown", Words())
@example("```\nnever closed\n\n\nstill code", 2, "text/markdown", Words())
def test_chunks_are_slices_in_order_within_budget_and_lose_only_white_space(
    text: str, max_tokens: int, media_type: MediaType, counter: TokenCounter
) -> None:
    document = Document(text, "doc", media_type)
    chunks = chunk(document, max_tokens=max_tokens, counter=counter)
    reached = 0
    for place, each in enumerate(chunks):
        source = each.source
        assert (source.name, source.place) == ("doc", place)
        assert text[source.start : source.end] == each.text
        assert each.text.strip()
        assert not text[reached : source.start].strip(), "something was left out"
        assert source.start >= reached, "something is there twice"
        assert counter.count(each.text) <= max_tokens or len(each.text.strip()) == 1
        reached = source.end
    assert not text[reached:].strip()
    assert chunk(document, max_tokens=max_tokens, counter=counter) == chunks


# --- structure ------------------------------------------------------------------------------------


def test_headings_are_the_path_and_stay_in_the_text() -> None:
    text = (
        "intro\n\n# Trip #\nAll of it.\n\n## Lisbon\nTrams.\n\n### Food\nFish.\n\n## Porto ##\nWine.\n\n# Home\nDone."
    )
    assert paths(text) == [
        ((), "intro"),
        (("Trip",), "# Trip #\nAll of it."),
        (("Trip", "Lisbon"), "## Lisbon\nTrams."),
        (("Trip", "Lisbon", "Food"), "### Food\nFish."),
        (("Trip", "Porto"), "## Porto ##\nWine."),
        (("Home",), "# Home\nDone."),
    ]


def test_underlined_headings_count_too() -> None:
    text = "Trip\n====\nAll of it.\n\nThe city\nof Lisbon\n---\nTrams.\n\nNot a heading:\n\n---\n\n- an item\n---\nrest"
    assert [path for path, _ in paths(text)] == [("Trip",), ("Trip", "The city of Lisbon")]


def test_a_heading_without_text_goes_with_what_follows() -> None:
    assert paths("# Trip\n\n## Lisbon\n\nTrams.") == [(("Trip", "Lisbon"), "# Trip\n\n## Lisbon\n\nTrams.")]
    assert paths("# Only a heading") == [(("Only a heading",), "# Only a heading")]


@pytest.mark.parametrize("line", ["#hashtag", "####### seven", "    # indented code", "\\# escaped", "text # not"])
def test_what_looks_like_a_heading_and_is_none(line: str) -> None:
    assert paths(f"{line}\ntext")[0][0] == ()


@pytest.mark.parametrize(
    ("line", "title"), [("# C# #", "C#"), ("# C#", "C#"), ("#\tTabs", "Tabs"), ("   # Three", "Three")]
)
def test_titles_lose_only_their_closing_marks(line: str, title: str) -> None:
    assert paths(f"{line}\ntext")[0][0] == (title,)


def test_code_keeps_its_headings_to_itself_and_stays_whole() -> None:
    code = "```sh\n# not a heading\n\nmake all\n\n\nmake test\n```"
    text = f"# Build\n\nRun this.\n\n{code}\n\nThen that."
    assert paths(text) == [(("Build",), text)]
    cut_small = [text for _, text in paths(text, max_tokens=11)]
    assert cut_small == ["# Build\n\nRun this.", code, "Then that."]


def test_a_fence_closes_only_with_its_own_kind_and_length() -> None:
    text = "````\n```\n# a\n~~~~\n````\n# b\ntext"
    assert [path for path, _ in paths(text)] == [(), ("b",)]


def test_code_that_is_too_long_is_cut_at_lines_and_keeps_indents() -> None:
    text = "```\n" + "\n".join(f"if a{n}:\n    call b{n}" for n in range(20)) + "\n```"
    chunks = cut(text, max_tokens=10)
    assert all(each.text.splitlines()[0].lstrip().startswith(("```", "if", "call")) for each in chunks)
    assert any(each.text.startswith("    call") for each in chunks)


def test_front_matter_goes_with_the_first_chunk_where_both_fit() -> None:
    front = "---\ntitle: Notes\ntags: [a, b]\n---"
    text = f"{front}\n\n# Kiln\n\nCool slowly.\n\n# Glaze\n\nTenmoku."
    assert paths(text) == [
        (("Kiln",), f"{front}\n\n# Kiln\n\nCool slowly."),
        (("Glaze",), "# Glaze\n\nTenmoku."),
    ]
    assert paths("+++\ntitle = 1\n+++\nBody.") == [((), "+++\ntitle = 1\n+++\nBody.")]
    assert paths(front) == [((), front)]


def test_front_matter_that_does_not_fit_stands_alone_and_parts_no_heading_from_its_text() -> None:
    front = "---\n" + "".join(f"key{n}: value\n" for n in range(45)) + "---"
    text = f"{front}\n# Kiln\n\nCool it very slowly, over a whole night, with the door shut."
    first, second = cut(text, max_tokens=100)
    assert [(first.text, first.source.place), (second.text, second.source.place)] == [
        (front, 0),
        (text[len(front) + 1 :], 1),
    ]
    assert text[second.source.start : second.source.end] == second.text


def test_a_rule_above_a_text_is_no_front_matter() -> None:
    assert len(paths("---\n\nJust a rule above a text.\n\n---\n")) == 1


def test_a_table_is_cut_between_its_rows() -> None:
    rows = [f"| item {n} | {n} pieces of it. Or so |" for n in range(12)]
    text = "| name | amount |\n|---|--:|\n" + "\n".join(rows)
    lines = text.splitlines()
    for each in cut(text, max_tokens=25):
        assert set(each.text.splitlines()) <= set(lines)


def test_list_items_are_cut_between_items() -> None:
    items = [f"- item {n}. It has two sentences" for n in range(10)]
    for each in cut("\n".join(items), max_tokens=16):
        assert set(each.text.splitlines()) <= set(items)


# --- size -----------------------------------------------------------------------------------------


def test_paragraphs_that_fit_together_share_a_chunk() -> None:
    text = "One two three.\n\nFour five six.\n\nSeven eight nine."
    assert [each.text for each in cut(text, 6, "text/plain")] == [
        "One two three.\n\nFour five six.",
        "Seven eight nine.",
    ]


def test_a_long_paragraph_is_cut_at_sentences_not_at_its_line_ends() -> None:
    text = "One two\nthree four. Five\nsix seven. Eight nine\nten eleven."
    assert [each.text for each in cut(text, 7, "text/plain")] == [
        "One two\nthree four. Five\nsix seven.",
        "Eight nine\nten eleven.",
    ]


def test_a_long_sentence_is_cut_at_words_and_a_long_word_at_characters() -> None:
    assert [each.text for each in cut("a b c d e f g", 3, "text/plain")] == ["a b c", "d e f", "g"]
    chunks = chunk(Document("x" * 50, "doc"), max_tokens=5, counter=Quarters())
    assert [len(each.text) for each in chunks[:-1]] == [len(chunks[0].text)] * (len(chunks) - 1)
    assert max(len(each.text) for each in chunks) < 24


def plain_paths(text: str) -> list[tuple[str, ...]]:
    return [each.source.headings for each in cut(text, 500, "text/plain")]


def test_plain_text_has_the_titles_that_a_rule_stands_below() -> None:
    text = (
        "=====\nGuide\n=====\n\nintro\n\nSetup\n*****\nfirst\n\nOn Linux\n--------\n\nmore\n\nUse\n***\n\nlast\n\n"
        "=====\nNotes\n=====\nend"
    )
    assert plain_paths(text) == [
        ("Guide",),
        ("Guide", "Setup"),
        ("Guide", "Setup", "On Linux"),
        ("Guide", "Use"),
        ("Notes",),
    ]
    assert cut(text, 500, "text/plain")[1].text == "Setup\n*****\nfirst"


@pytest.mark.parametrize(
    "text",
    [
        "# Not a title\n\ntext",
        "A line that is longer than\n====\ntext",
        "text\n\n-----\n\ntext",
        "-----\n-----\ntext",
        "one\ntwo\nthree\n-----",
        "a title\n- - - - - -",
        "aaaa\nbbbb",
    ],
)
def test_what_no_rule_stands_below_is_text(text: str) -> None:
    assert set(plain_paths(text)) == {()}


def test_blank_documents_have_no_chunks() -> None:
    assert cut("") == cut(" \n\t\n") == cut("", media_type="text/plain") == []


def test_an_edit_changes_only_the_chunks_around_it() -> None:
    sections = [f"## Part {n}\n\nWords of part {n}.\n\nMore of them." for n in range(30)]
    before = {each.text for each in cut("\n\n".join(sections))}
    sections[10] = sections[10].replace("More", "Much more")
    after = {each.text for each in cut("\n\n".join(sections))}
    assert len(before - after) == len(after - before) == 1


def test_windows_line_ends_are_no_text() -> None:
    chunks = cut("# A\r\n\r\ntext one\r\n\r\n# B\r\ntext two\r\n")
    assert [(each.source.headings, each.text) for each in chunks] == [
        (("A",), "# A\r\n\r\ntext one"),
        (("B",), "# B\r\ntext two"),
    ]


def test_a_budget_below_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 1"):
        cut("text", 0)


@pytest.mark.parametrize(
    "text",
    [
        "# Heading\n\nSome words in a sentence. And another one here.\n\n- item\n- item\n\n```\ncode here\n```\n\n"
        * 6_000,
        "word " * 100_000,
        "x" * 500_000,
        "# " + " " * 500_000 + "x",
        "a\n" + "|" + " " * 500_000 + "x",
        "#" * 500_000,
        "# a" + " #" * 250_000 + " b",
        "`" * 500_000,
    ],
    ids=["notes", "words", "one word", "heading of spaces", "row of spaces", "hashes", "closing marks", "backticks"],
)
def test_half_a_megabyte_takes_seconds_at_most(text: str) -> None:
    started = time.process_time()
    chunks = chunk(Document(text, "doc"), counter=EstimatedCounter())
    # Half a second on a quiet machine; what is quadratic takes minutes.
    assert time.process_time() - started < 5
    kept = "".join(re.sub(r"\s+", "", each.text) for each in chunks)
    assert kept == re.sub(r"\s+", "", text)
