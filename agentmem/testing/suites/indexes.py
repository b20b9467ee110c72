"""The suites of what is derived from the log: vector stores and lexical indexes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.errors import AgentMemError
from agentmem.interfaces import (
    Generation,
    LexicalChange,
    LexicalIndex,
    LexicalQuery,
    VectorChange,
    VectorHits,
    VectorQuery,
    VectorStore,
)
from agentmem.retrieval.lexical import encode_bag
from agentmem.testing.suites.base import Suite, fixture_missing, in_threads

if TYPE_CHECKING:
    from agentmem.interfaces import RowNumbers, Vectors

OLD = Generation(1, "model-a:1", 16, "model-a")
NEW = Generation(2, "model-b:1", 24, "model-b")


class VectorStoreTests(Suite):
    """The promises of ``VectorStore``.

    Fixtures:
        store: A fresh, empty store.
        reopen: ``() -> VectorStore``, opens what the closed store left behind (where it keeps anything).
    """

    recall: ClassVar[float] = 1.0
    """The least share of the true nearest 20 of 400 that the store finds; below 1 for approximate ones."""
    tolerance: ClassVar[float] = 0.005
    """How far a cosine may be off; enough for float16."""

    @pytest.fixture
    def store(self) -> VectorStore:
        fixture_missing("store", "a fresh, empty VectorStore.")

    @pytest.fixture
    def reopen(self) -> Callable[[], VectorStore]:
        pytest.skip("no fixture 'reopen': this store keeps nothing")

    # --- nearest ----------------------------------------------------------------------------------

    def test_the_nearest_are_found_in_order_with_their_cosine(self, store: VectorStore) -> None:
        vectors = _unit_vectors(400, OLD.dimensions, seed=1)
        _put(store, np.arange(1, 401), vectors)
        found = wanted = 0
        for query in _unit_vectors(10, OLD.dimensions, seed=2):
            hits = _search(store, query, limit=20)
            true = vectors @ query
            best = set((np.argsort(-true)[:20] + 1).tolist())
            found += len(best & set(hits.rows.tolist()))
            wanted += len(best)
            assert len(hits.rows) == len(set(hits.rows.tolist())) == 20
            np.testing.assert_allclose(hits.scores, true[hits.rows - 1], atol=self.tolerance)
            assert (np.diff(hits.scores) <= 0).all(), "nearest first"
        assert found / wanted >= self.recall

    def test_a_vector_is_nearest_to_itself_and_farthest_from_its_opposite(self, store: VectorStore) -> None:
        vector = _unit_vectors(1, OLD.dimensions, seed=3)
        other = _unit_vectors(1, OLD.dimensions, seed=4)
        _put(store, [7, 8, 9], np.concatenate([other, -vector, vector]))
        hits = _search(store, vector[0], limit=3)
        assert hits.rows.tolist() == [9, 7, 8]
        assert hits.scores[[0, 2]].tolist() == pytest.approx([1, -1], abs=self.tolerance)

    def test_hits_are_arrays_of_the_promised_types(self, store: VectorStore) -> None:
        _put(store, [1, 2], _unit_vectors(2, OLD.dimensions))
        for limit in (1, 5):
            hits = _search(store, _unit_vectors(1, OLD.dimensions)[0], limit=limit)
            assert hits.rows.dtype == np.int64
            assert hits.scores.dtype == np.float32
            assert hits.rows.shape == hits.scores.shape == (min(limit, 2),)

    def test_the_limit_is_kept_and_may_exceed_what_there_is(self, store: VectorStore) -> None:
        _put(store, range(1, 8), _unit_vectors(7, OLD.dimensions))
        query = _unit_vectors(1, OLD.dimensions, seed=9)[0]
        everything = _search(store, query, limit=1_000)
        assert sorted(everything.rows.tolist()) == list(range(1, 8))
        for limit in (1, 3, 7):
            assert len(_search(store, query, limit=limit).rows) == limit

    def test_an_empty_partition_gives_nothing(self, store: VectorStore) -> None:
        assert len(_search(store, _unit_vectors(1, OLD.dimensions)[0]).rows) == 0
        assert store.rows(OLD, 1) == set()

    def test_row_numbers_may_be_large(self, store: VectorStore) -> None:
        vectors = _unit_vectors(2, OLD.dimensions)
        _put(store, [2**40, 2**40 + 1], vectors)
        assert _search(store, vectors[1], limit=1).rows.tolist() == [2**40 + 1]
        assert store.rows(OLD, 1) == {2**40, 2**40 + 1}

    def test_many_rows_go_in_at_once(self, store: VectorStore) -> None:
        vectors = _unit_vectors(6_000, OLD.dimensions)
        _put(store, np.arange(6_000), vectors)
        assert store.rows(OLD, 1) == set(range(6_000))
        assert _search(store, vectors[5_999], limit=1).rows.tolist() == [5_999]

    # --- changes ----------------------------------------------------------------------------------

    def test_putting_again_replaces(self, store: VectorStore) -> None:
        first, second = _unit_vectors(2, OLD.dimensions)
        _put(store, [5], first[None])
        _put(store, [5], second[None])
        hits = _search(store, second, limit=10)
        assert hits.rows.tolist() == [5]
        assert hits.scores[0] == pytest.approx(1, abs=self.tolerance)

    def test_applying_twice_is_applying_once(self, store: VectorStore) -> None:
        vectors = _unit_vectors(3, OLD.dimensions)
        _put(store, [1, 2, 3], vectors)
        change = VectorChange(OLD, 1, np.array([4, 5]), vectors[:2], gone=[1, 99])
        store.apply(change)
        once = _search(store, vectors[0])
        store.apply(change)
        twice = _search(store, vectors[0])
        assert store.rows(OLD, 1) == {2, 3, 4, 5}
        assert sorted(once.rows.tolist()) == sorted(twice.rows.tolist()) == [2, 3, 4, 5]

    def test_a_row_that_is_gone_is_never_found(self, store: VectorStore) -> None:
        vectors = _unit_vectors(50, OLD.dimensions)
        _put(store, np.arange(50), vectors)
        store.apply(_drop_rows(range(0, 50, 2)))
        for query in vectors:
            assert set(_search(store, query, limit=50).rows.tolist()) == set(range(1, 50, 2))
        assert store.rows(OLD, 1) == set(range(1, 50, 2))

    def test_dropping_unknown_rows_is_fine(self, store: VectorStore) -> None:
        store.apply(_drop_rows([1, 2, 3]))
        assert store.rows(OLD, 1) == set()

    def test_a_change_of_nothing_is_fine(self, store: VectorStore) -> None:
        store.apply(_drop_rows([]))
        assert store.rows(OLD, 1) == set()

    def test_a_row_may_come_back(self, store: VectorStore) -> None:
        vectors = _unit_vectors(1, OLD.dimensions)
        _put(store, [1], vectors)
        store.apply(_drop_rows([1]))
        _put(store, [1], vectors)
        assert _search(store, vectors[0]).rows.tolist() == [1]

    # --- apart ------------------------------------------------------------------------------------

    def test_partitions_never_mix(self, store: VectorStore) -> None:
        vectors = _unit_vectors(6, OLD.dimensions)
        for partition in (1, 2, 12):
            _put(store, [1, 2], vectors[:2] if partition == 1 else vectors[2:4], partition=partition)
        hits = _search(store, vectors[0], limit=10, partition=2)
        assert sorted(hits.rows.tolist()) == [1, 2]
        assert hits.scores.max() < 1 - self.tolerance, "the same row number of another partition is another row"
        store.apply(_drop_rows([1], partition=2))
        assert store.rows(OLD, 1) == store.rows(OLD, 12) == {1, 2}

    def test_generations_never_mix(self, store: VectorStore) -> None:
        old, new = _unit_vectors(2, OLD.dimensions), _unit_vectors(3, NEW.dimensions)
        _put(store, [1, 2], old)
        _put(store, [2, 3, 4], new, generation=NEW)
        assert sorted(_search(store, old[0]).rows.tolist()) == [1, 2]
        assert sorted(_search(store, new[0], generation=NEW).rows.tolist()) == [2, 3, 4]
        store.apply(_drop_rows([2], generation=NEW))
        assert (store.rows(OLD, 1), store.rows(NEW, 1)) == ({1, 2}, {3, 4})

    def test_a_dropped_partition_is_empty_and_alone(self, store: VectorStore) -> None:
        vectors = _unit_vectors(2, OLD.dimensions)
        for partition in (1, 2):
            _put(store, [1, 2], vectors, partition=partition)
        _put(store, [1, 2], _unit_vectors(2, NEW.dimensions), generation=NEW)
        store.drop(OLD, 1)
        store.drop(OLD, 1)
        store.drop(OLD, 77)
        assert len(_search(store, vectors[0]).rows) == 0
        assert (store.rows(OLD, 1), store.rows(OLD, 2), store.rows(NEW, 1)) == (set(), {1, 2}, {1, 2})
        _put(store, [9], vectors[:1])
        assert _search(store, vectors[0]).rows.tolist() == [9]

    # --- always -----------------------------------------------------------------------------------

    def test_it_holds_what_a_dictionary_would_hold(self, store: VectorStore) -> None:
        """Any series of changes leaves the rows and vectors that a plain dictionary has after them."""
        vectors = _unit_vectors(12, OLD.dimensions, seed=5)
        partitions = iter(range(1_000, 100_000))
        rows = st.integers(1, 8)
        changes = st.tuples(st.dictionaries(rows, st.integers(0, 11), max_size=4), st.sets(rows, max_size=3))

        @settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
        @given(series=st.lists(changes, min_size=1, max_size=5))
        def holds(series: list[tuple[dict[int, int], set[int]]]) -> None:
            partition, model = next(partitions), dict[int, int]()
            for put, gone in series:
                kept = {row: which for row, which in put.items() if row not in gone}
                _put(store, list(kept), vectors[list(kept.values())], partition=partition, gone=sorted(gone))
                model = {row: which for row, which in (model | kept).items() if row not in gone}
            assert store.rows(OLD, partition) == set(model)
            hits = _search(store, vectors[0], limit=50, partition=partition)
            found = dict(zip(hits.rows.tolist(), hits.scores.tolist(), strict=True))
            true = {row: float(vectors[which] @ vectors[0]) for row, which in model.items()}
            assert found == pytest.approx(true, abs=self.tolerance)

        holds()

    def test_threads_that_write_and_search_lose_nothing(self, store: VectorStore) -> None:
        vectors = _unit_vectors(80, OLD.dimensions)

        def work(thread: int) -> None:
            for row in range(thread * 10, thread * 10 + 10):
                _put(store, [row], vectors[row : row + 1])
                assert row in _search(store, vectors[row], limit=3).rows

        assert [outcome for outcome in in_threads(work, 8) if isinstance(outcome, AgentMemError)] == []
        assert store.rows(OLD, 1) == set(range(80))

    def test_what_was_put_is_there_after_reopening(self, store: VectorStore, reopen: Callable[[], VectorStore]) -> None:
        vectors = _unit_vectors(3, OLD.dimensions)
        _put(store, [1, 2, 3], vectors)
        store.apply(_drop_rows([2]))
        store.close()
        again = reopen()
        assert again.rows(OLD, 1) == {1, 3}
        assert _search(again, vectors[2], limit=1).rows.tolist() == [3]
        again.close()


def _unit_vectors(count: int, dimensions: int, *, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _put(
    store: VectorStore,
    rows: Sequence[int] | RowNumbers,
    vectors: Vectors,
    *,
    generation: Generation = OLD,
    partition: int = 1,
    gone: Sequence[int] = (),
) -> None:
    store.apply(VectorChange(generation, partition, np.asarray(rows, dtype=np.int64), vectors, gone))


def _drop_rows(gone: Sequence[int], *, generation: Generation = OLD, partition: int = 1) -> VectorChange:
    nothing = np.zeros((0, generation.dimensions), dtype=np.float32)
    return VectorChange(generation, partition, np.zeros(0, dtype=np.int64), nothing, gone)


def _search(
    store: VectorStore, vector: Vectors, *, limit: int = 10, generation: Generation = OLD, partition: int = 1
) -> VectorHits:
    return store.search(VectorQuery(generation, partition, vector, limit))


# --- words ----------------------------------------------------------------------------------------

CAT, DOG, FISH, BIRD = 11, 22, 33, 44


class LexicalIndexTests(Suite):
    """The promises of ``LexicalIndex``.

    Fixtures:
        index: A fresh, empty index.
    """

    @pytest.fixture
    def index(self) -> LexicalIndex:
        fixture_missing("index", "a fresh, empty LexicalIndex.")

    def test_a_row_is_found_by_its_terms_and_by_no_other(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, DOG: 1}, 2: {FISH: 1}})
        assert set(_scores(index, [CAT])) == {(1, 1)}
        assert set(_scores(index, [FISH, DOG])) == {(1, 1), (1, 2)}
        assert _scores(index, [BIRD]) == {}
        assert _scores(index, []) == {}

    def test_every_score_is_above_zero_and_the_best_come_first(self, index: LexicalIndex) -> None:
        _bag(index, {row: {CAT: row % 7 + 1, DOG: row % 3 + 1, FISH + row: row} for row in range(1, 60)})
        hits = index.search(LexicalQuery([1], [CAT, DOG], 20))
        assert len(hits.rows) == len(hits.scores) == 20
        assert (np.asarray(hits.scores) > 0).all()
        assert (np.diff(hits.scores) <= 0).all()
        everything = _scores(index, [CAT, DOG])
        assert sorted(everything.values(), reverse=True)[:20] == pytest.approx(list(hits.scores), rel=1e-5)

    def test_a_rarer_term_counts_more(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, FISH: 1}, 2: {DOG: 1, FISH: 1}} | {row: {CAT: 1, BIRD: 1} for row in range(3, 20)})
        scores = _scores(index, [CAT, DOG])
        assert max(scores, key=scores.__getitem__) == (1, 2)

    def test_a_term_said_more_often_counts_more(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, DOG: 3}, 2: {CAT: 3, DOG: 1}, 3: {FISH: 4}})
        scores = _scores(index, [CAT])
        assert scores[1, 2] > scores[1, 1]

    def test_a_term_counts_more_in_a_shorter_text(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, DOG: 30}, 2: {CAT: 1, DOG: 1}, 3: {FISH: 4}})
        scores = _scores(index, [CAT])
        assert scores[1, 2] > scores[1, 1]

    def test_a_term_that_every_row_has_still_finds_them(self, index: LexicalIndex) -> None:
        _bag(index, {row: {CAT: 1} for row in range(1, 6)})
        assert set(_scores(index, [CAT])) == {(1, row) for row in range(1, 6)}

    def test_partitions_that_were_not_asked_change_nothing(self, index: LexicalIndex) -> None:
        """IDF and lengths are those of the partitions asked: another tenant's words never show in a score."""
        ours = {1: {CAT: 1, DOG: 2}, 2: {CAT: 2, FISH: 1}, 3: {BIRD: 5}}
        _bag(index, ours)
        alone = _scores(index, [CAT, DOG])
        _bag(index, {row: {CAT: 9, row: 3} for row in range(100, 200)}, partition=2)
        assert _scores(index, [CAT, DOG]) == pytest.approx(alone)
        assert {partition for partition, _ in _scores(index, [CAT], partitions=[2])} == {2}

    def test_partitions_asked_together_share_one_idf(self, index: LexicalIndex) -> None:
        parts = [{1: {CAT: 1, DOG: 1}, 2: {CAT: 1, FISH: 2}}, {1: {DOG: 1}, 2: {BIRD: 3}}]
        for partition, bags in enumerate(parts, start=1):
            _bag(index, bags, partition=partition)
        _bag(
            index,
            {10 * partition + row: bag for partition, bags in enumerate(parts, 1) for row, bag in bags.items()},
            9,
        )
        apart = _scores(index, [CAT, DOG], partitions=[1, 2])
        together = _scores(index, [CAT, DOG], partitions=[9])
        assert apart == pytest.approx({(row // 10, row % 10): score for (_, row), score in together.items()})

    def test_a_row_that_is_gone_is_gone_from_scores_too(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, DOG: 1}, 2: {CAT: 2}, 3: {DOG: 1, FISH: 1}})
        before = _scores(index, [CAT, DOG])
        _bag(index, {row: {CAT: 5, DOG: 1} for row in range(10, 30)})
        index.apply(LexicalChange(1, {}, gone=[*range(10, 30), 999]))
        assert _scores(index, [CAT, DOG]) == pytest.approx(before)

    def test_putting_again_replaces(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1}, 2: {FISH: 1}})
        _bag(index, {1: {DOG: 1}})
        assert _scores(index, [CAT]) == {}
        assert set(_scores(index, [DOG])) == {(1, 1)}

    def test_applying_twice_is_applying_once(self, index: LexicalIndex) -> None:
        _bag(index, {1: {CAT: 1, DOG: 1}, 2: {CAT: 2}})
        change = LexicalChange(1, {3: encode_bag({CAT: 1, FISH: 1})}, gone=[2])
        index.apply(change)
        once = _scores(index, [CAT, FISH])
        index.apply(change)
        assert _scores(index, [CAT, FISH]) == pytest.approx(once)

    def test_a_dropped_partition_is_empty_and_alone(self, index: LexicalIndex) -> None:
        for partition in (1, 2):
            _bag(index, {1: {CAT: 1}}, partition=partition)
        index.drop(1)
        index.drop(1)
        index.drop(77)
        assert set(_scores(index, [CAT], partitions=[1, 2, 77])) == {(2, 1)}

    def test_an_empty_bag_is_never_found(self, index: LexicalIndex) -> None:
        _bag(index, {1: {}, 2: {CAT: 1}})
        assert set(_scores(index, [CAT, 0])) == {(1, 2)}

    def test_any_32_bit_term_and_large_row_numbers_are_kept(self, index: LexicalIndex) -> None:
        _bag(index, {2**40: {0: 1, 2**32 - 1: 65_535}})
        assert set(_scores(index, [2**32 - 1])) == set(_scores(index, [0])) == {(1, 2**40)}


def _bag(index: LexicalIndex, bags: Mapping[int, Mapping[int, int]], partition: int = 1) -> None:
    index.apply(LexicalChange(partition, {row: encode_bag(bag) for row, bag in bags.items()}))


def _scores(
    index: LexicalIndex, terms: Sequence[int], *, partitions: Sequence[int] = (1,)
) -> dict[tuple[int, int], float]:
    hits = index.search(LexicalQuery(partitions, terms, 1_000))
    rows = [(int(partition), int(row)) for partition, row in hits.rows]
    assert len(rows) == len(set(rows)), "each row once"
    return dict(zip(rows, np.asarray(hits.scores).tolist(), strict=True))
