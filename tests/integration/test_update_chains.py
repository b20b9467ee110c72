"""What changes in a life is answered right: now, as of then, as known then, and after it was taken back."""

from __future__ import annotations

import pytest

from agentmem import MemoryManager
from agentmem.bench.update_chains import SUBJECTS, chains
from agentmem.bench.updates import Outcomes, follow

CHAINS = 200


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    with MemoryManager.open(tmp_path_factory.mktemp("lives"), extractor="rules") as memory:
        return follow(memory, chains(CHAINS), undone=len(SUBJECTS) * 2)


def test_chains_are_the_same_for_the_same_seed_and_of_every_kind() -> None:
    made = chains(CHAINS)
    assert made == chains(CHAINS)
    assert made != chains(CHAINS, seed=2)
    assert {len(chain.steps) for chain in made} == {2, 3, 4, 5}
    assert 0.5 < sum(chain.is_in_order for chain in made) / CHAINS < 0.9
    assert {chain.attribute for chain in made} == {subject.attribute for subject in SUBJECTS}
    assert {step.polarity for chain in made for step in chain.steps} == {"affirmed", "ended"}


def test_no_wording_is_in_two_sets() -> None:
    for about in SUBJECTS:
        for wordings in (about.says, about.then, about.ends, about.asks):
            said = [wording for words in wordings for wording in words]
            assert len(said) == len(set(said))


def test_nothing_superseded_is_among_the_ten_best(outcomes: Outcomes) -> None:
    assert outcomes.shares()["read"] == 1, outcomes.unread
    assert outcomes.asked["nothing superseded"] >= CHAINS
    assert outcomes.shares()["nothing superseded"] == 1, outcomes.broken


@pytest.mark.parametrize(
    "promise",
    [
        "right first",
        "right as of then",
        "right as known then",
        "reopened when retired",
        "back when restored",
        "reopened when erased",
    ],
)
def test_the_right_value_comes_first(outcomes: Outcomes, promise: str) -> None:
    assert outcomes.asked[promise] >= len(SUBJECTS) * 2
    assert outcomes.shares()[promise] >= 0.98, outcomes.broken
