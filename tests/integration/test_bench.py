"""The quality bench: labels read right, metrics as defined, measured on the path that ships."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from agentmem import MemoryManager
from agentmem.bench import budget
from agentmem.bench.cuts import CUTS, Judged, at_kept_recall, cuts, near
from agentmem.bench.datasets import BenchQuestion, load
from agentmem.bench.figures import Figure, auc, figure
from agentmem.bench.quality import run_quality, session_metrics, turn_metrics
from agentmem.errors import InvalidInput

DEVELOPMENT_DATA = Path(__file__).parents[3] / "shared" / "data"

LOCOMO = [
    {
        "conversation": {
            "speaker_a": "Ana",
            "session_2_date_time": "9:55 am on 22 October, 2023",
            "session_2": [{"speaker": "Ana", "dia_id": "D2:1", "text": "The cello arrived."}],
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ana", "dia_id": "D1:1", "text": "I adopted a dog.", "blip_caption": "a puppy on a sofa"},
                {"speaker": "Ben", "dia_id": "D1:2", "text": "Lovely!"},
            ],
        },
        "qa": [
            {"question": "Who adopted a dog?", "evidence": ["D1:1"], "category": 4},
            {"question": "What about cello and puppy?", "evidence": ["D:2:01; D1:1"], "category": 1},
            {"question": "Unknown evidence", "evidence": ["D9:9", "D"], "category": 3},
            {"question": "What did Ben adopt?", "evidence": ["D1:1"], "category": 5},
        ],
    }
]
LONGMEMEVAL = [
    {
        "question_id": name,
        "question_type": "single-session-user",
        "question": "Which instrument do I play?",
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/19 (Fri) 23:00"],
        "haystack_session_ids": ["answer_1", "other_2"],
        "answer_session_ids": ["answer_1"],
        "haystack_sessions": [
            [{"role": "user", "content": "I play the cello, an instrument", "has_answer": True}],
            [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "  "}],
        ],
    }
    for name in ("q1", "q2_abs")
]


@pytest.fixture
def locomo(tmp_path: Path) -> Path:
    path = tmp_path / "locomo.json"
    path.write_text(json.dumps(LOCOMO), encoding="utf-8")
    return path


@pytest.fixture
def longmemeval(tmp_path: Path) -> Path:
    path = tmp_path / "longmemeval.json.gz"
    path.write_bytes(gzip.compress(json.dumps(LONGMEMEVAL).encode()))
    return path


def memory(tmp_path: Path) -> Any:
    return lambda: MemoryManager.open(tmp_path / "memory")


def test_locomo_sessions_are_in_order_and_malformed_evidence_is_repaired(locomo: Path) -> None:
    history = load(locomo).histories[0]
    assert [turn.content for turn in history.turns] == [
        "I adopted a dog. [shared image: a puppy on a sofa]",
        "Lovely!",
        "The cello arrived.",
    ]
    assert [question.turns for question in history.questions] == [{0}, {0, 2}, {0}]
    assert [question.category for question in history.questions] == ["single-hop", "multi-hop", "adversarial"]


def test_longmemeval_leaves_out_what_has_no_answer_and_never_shows_a_session_id(longmemeval: Path) -> None:
    data = load(longmemeval)
    assert len(data.histories) == 1
    history = data.histories[0]
    assert [turn.content for turn in history.turns] == ["Hello", "I play the cello, an instrument"]
    assert history.questions[0].turns == {1}
    assert history.questions[0].sessions == {1}
    assert "answer" not in "".join(f"{turn.session}{turn.metadata}" for turn in history.turns)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.json"
    path.write_text('[{"a": 1}]', encoding="utf-8")
    with pytest.raises(InvalidInput, match="neither LoCoMo nor LongMemEval"):
        load(path)
    path.write_text("no json", encoding="utf-8")
    with pytest.raises(InvalidInput, match="not JSON"):
        load(path)


def test_turn_metrics_are_shares_of_the_gold() -> None:
    metrics = turn_metrics([9, 1, 8, 7, 6, 5, 2], frozenset({1, 2}))
    assert metrics["turn recall@5"] == 0.5
    assert metrics["turn recall@10"] == 1.0
    assert metrics["turn all@10"] == 1.0
    assert turn_metrics([1], frozenset()) == {}


def test_session_metrics_rank_sessions_by_their_first_hit() -> None:
    question = BenchQuestion("?", "multi-session", frozenset(), frozenset({3, 4}))
    metrics = session_metrics([1, 3, 3, 1, 2, 5, 6, 4], question)
    assert metrics["session recall_any@5"] == 1.0
    assert metrics["session recall_all@5"] == 0.0
    assert metrics["session recall_all@10"] == 1.0
    assert metrics["session NDCG@5"] == pytest.approx(0.6309 / (1 + 0.6309), abs=1e-3)


def test_a_run_measures_stores_and_reports(locomo: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = run_quality(locomo, open_memory=memory(tmp_path), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 1)]
    assert (report.dataset, report.turns, report.questions) == ("locomo", 3, 3)
    assert report.figures["all"]["turn recall@5"].mean == 1.0
    assert report.figures["all"]["turn recall@5"].n == 2, "adversarial questions stand apart"
    assert report.known_as.startswith("not a published file")
    assert json.loads(json.dumps(report.to_dict()))["figures"]["adversarial"]["turn all@10"]["mean"] == 1.0
    assert [table.row_count for table in report.tables()] == [5, len(CUTS)]


def test_a_run_on_longmemeval_has_session_figures(longmemeval: Path, tmp_path: Path) -> None:
    report = run_quality(longmemeval, open_memory=memory(tmp_path))
    assert report.figures["all"]["session recall_all@5"].mean == 1.0
    assert report.figures["all"]["session NDCG@10"].mean == 1.0


def test_an_area_counts_ties_by_half() -> None:
    assert auc([0.9, 0.5], [0.5, 0.1]).mean == 0.875
    assert auc([0.1], [0.9]).mean == 0.0
    assert auc([0.3] * 5, [0.3] * 5) == Figure(0.5, 0.5, 0.5, 5)


def test_an_interval_surrounds_its_mean_and_is_the_same_each_time() -> None:
    found = figure([0.0, 1.0] * 50)
    assert found == figure([0.0, 1.0] * 50)
    assert 0.35 < found.low < found.mean == 0.5 < found.high < 0.65


def test_a_cut_trades_recall_for_precision() -> None:
    sure, doubtful, wrong = Judged(0.9, True, True), Judged(0.3, True, True), Judged(0.2, False, True)
    curve = cuts([([sure, doubtful, wrong], 2), ([wrong] * 20, 1)], at=(0.0, 0.25, 0.5))
    assert [cut.hits for cut in curve] == [6.5, 1.0, 0.5], "ten hits at most"
    assert [cut.precision for cut in curve] == [2 / 13, 1.0, 1.0]
    assert [cut.recall for cut in curve] == [0.5, 0.5, 0.25]
    assert curve[0].beside == 1.0
    assert at_kept_recall(curve) == curve[1]


def test_beside_a_gold_turn_is_only_what_was_said_in_its_session() -> None:
    assert near(frozenset({2}), [1, 1, 2, 2, 2]) == {2, 3}


def test_confidence_is_measured_against_a_history_that_knows_nothing(tmp_path: Path) -> None:
    other = {
        "conversation": {
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [{"speaker": "Zoe", "dia_id": "D1:1", "text": "My violin teacher moved to Oslo."}],
        },
        "qa": [{"question": "Where did the violin teacher move?", "evidence": ["D1:1"], "category": 4}],
    }
    path = tmp_path / "two.json"
    path.write_text(json.dumps([*LOCOMO, other]), encoding="utf-8")
    report = run_quality(path, open_memory=memory(tmp_path))
    assert report.confidence_auc is not None
    assert (report.confidence_auc.mean, report.confidence_auc.n) == (1.0, 3)
    assert report.kept is not None
    assert report.kept.recall >= 0.95 * report.cuts[0].recall


def test_the_evidence_within_a_budget_grows_with_it_and_is_drawn(locomo: Path, tmp_path: Path) -> None:
    report = run_quality(locomo, open_memory=memory(tmp_path), with_budgets=True)
    assert set(report.budgets) == {"retrieve", "context"}
    assert report.budgets["retrieve"][4000].mean == 1.0
    assert report.budgets["context"][4000].mean == 1.0
    assert len(list(report.tables())) == 3
    drawn = ElementTree.fromstring(budget.plot({"ours & <theirs>": report.budgets}))
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "ours & <theirs>, context" in texts
    assert {"250", "4,000", "1.0"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 2


def test_a_missing_file_is_skipped_with_the_reason(tmp_path: Path) -> None:
    report = run_quality(tmp_path / "nowhere.json", open_memory=memory(tmp_path))
    assert report.skipped is not None
    assert "nowhere.json" in report.skipped
    assert "skipped" in str(next(report.tables()).title)


def test_locomo_development_data_keeps_its_figure(tmp_path: Path) -> None:
    path = DEVELOPMENT_DATA / "locomo_dev.json"
    if not path.exists():
        pytest.skip("the development data is not beside this checkout")
    report = run_quality(path, open_memory=memory(tmp_path))
    assert report.figures["all"]["turn recall@10"].mean >= 0.784
