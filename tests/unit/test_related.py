"""Words of like meaning: a table of stems, read once."""

from __future__ import annotations

import numpy as np

from agentmem.retrieval import fusion
from agentmem.retrieval.lexical import query_terms
from agentmem.retrieval.related import TABLE, relatives


def test_relatives_are_near_in_meaning_whatever_the_form_of_the_word() -> None:
    terms = query_terms("Which pets and jobs?")
    found = {(each.place, each.term) for each in relatives(terms)}
    assert {(0, query_terms("dogs")[0]), (0, query_terms("cat")[0]), (1, query_terms("works")[0])} <= found


def test_no_word_is_its_own_relative_and_nearness_is_a_share() -> None:
    terms = query_terms("pets jobs hobbies gardens married")
    for each in relatives(terms):
        assert each.term != terms[each.place]
        assert 0 < each.nearness <= 1


def test_unknown_words_and_no_words_have_none() -> None:
    assert relatives(query_terms("Xylqua 4711 Straßenbahn 東京")) == []
    assert relatives([]) == []
    assert relatives([0, 2**32 - 1]) == []


def test_the_table_is_small_and_sorted() -> None:
    assert TABLE.stat().st_size < 1_000_000
    with np.load(TABLE) as arrays:
        assert (np.diff(arrays["stems"].astype(np.int64)) > 0).all()
        assert arrays["starts"][-1] == len(arrays["places"]) == len(arrays["nearness"])
        assert arrays["places"].max() < len(arrays["stems"])


def test_each_term_counts_by_its_best_relative_alone() -> None:
    lengths = np.float32([10, 10, 10])
    ones = np.ones(1, np.float32)

    def scores(*found: int, places: list[int]) -> list[float]:
        hits = [(np.array([slot], np.int32), ones) for slot in found]
        return fusion.related(hits, places, [1.0, 0.5][: len(found)], lengths, 10.0).tolist()

    single = scores(1, places=[0])[1]
    assert scores(1, 1, places=[0, 0]) == [0.0, single, 0.0]
    assert scores(1, 1, places=[0, 1])[1] > single
    assert scores(1, 2, places=[0, 0])[2] == single / 2
