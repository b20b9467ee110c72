"""How right the rule extractor is: `python -m bench.facts [--labelled FILE ...] [--conversations FILE ...]`.

Labelled sentences, one JSON object a line: `text`, `role`, `speaker`, `said_at` and the `facts` that it states. A fact
found is right if a labelled one has the same subject, attribute, polarity and value, and the same topic where one is
labelled; articles, endings and the word chosen ("mom" or "mother", "puppy" or "dog") make no difference. A plan, a
promise or an instruction is a sentence more than a value: there the same verb is enough if one says all that the other
says. Precision is the share of the facts found that are right, recall the share of the labelled ones that were found.

Conversations (LoCoMo, LongMemEval) have no labels. What was read by hand there is kept in `facts_by_hand.json` without
any of the text: a hash of turn, span, attribute and value stands for a fact. On a machine that has the data this says
how many of the facts found were judged and how many of those are right. The errors of the first and the second sample
were mended after they were read; those of the last one were not.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from Stemmer import Stemmer

from agentmem.bench.datasets import load
from agentmem.extractors import vocabulary
from agentmem.extractors.rules import RuleExtractor
from agentmem.extractors.sequels import Known, sequels
from agentmem.interfaces import ExtractedFact, ExtractionRequest
from agentmem.records import Fact, Memory, Turn
from agentmem.testing.fakes import A_MONDAY, memory

ROOT: Final = Path(__file__).parents[1]
LABELLED: Final = tuple(
    ROOT / "tests" / "unit" / "data" / name
    for name in ("facts_dev.jsonl", "facts_frozen.jsonl", "people_dev.jsonl", "people_held_out.jsonl")
)
VERDICTS: Final = Path(__file__).with_name("facts_by_hand.json")
IN_OTHER_WORDS: Final = frozenset({"plan", "commitment", "instruction"})
_ARTICLES: Final = frozenset("a an the my our to some".split())
_SAME: Final = {
    "colour": "color",
    "favourite": "favorite",
    "mum": "mother",
    "film": "movie",
    "puppy": "dog",
    "kitten": "cat",
}


class Told(NamedTuple):
    """A fact as it is compared."""

    subject: str
    attribute: str
    topic: str | None
    value: str
    polarity: str


@dataclass(slots=True)
class Score:
    """Counts by attribute: facts found that are right, that are wrong, and labelled ones that were not found."""

    sentences: int = 0
    right: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    dated: int = 0
    dated_right: int = 0
    mistakes: list[tuple[str, str, Told]] = field(default_factory=list)

    @property
    def precision(self) -> float:
        found = self.right.total() + self.wrong.total()
        return self.right.total() / found if found else 1.0

    @property
    def recall(self) -> float:
        labelled = self.right.total() + self.missed.total()
        return self.right.total() / labelled if labelled else 1.0


def score(path: Path) -> Score:
    """The extractor against a file of labelled sentences."""
    extractor = RuleExtractor()
    total = Score()
    for line in path.read_text("utf-8").splitlines():
        if not line.strip():
            continue
        labelled = json.loads(line)
        total.sentences += 1
        _compare(labelled, _found(extractor, labelled), total)
    return total


def _found(extractor: RuleExtractor, labelled: Mapping[str, Any]) -> list[ExtractedFact]:
    """What the sentence states, by itself and of what the turns ``before`` it have stated."""
    turn = _turn(labelled)
    before = [_turn({**labelled, "text": text}) for text in labelled.get("before", ())]
    stated = [
        *extractor.extract(ExtractionRequest(before)),
        *(facts := list(extractor.extract(ExtractionRequest([turn])))),
    ]
    known = Known()
    known.add(
        (Fact(fact.subject, fact.attribute, fact.value, fact.polarity, topic=fact.topic), turn.occurred_at)
        for fact in stated
    )
    told = [fact for sequel in sequels(turn) for fact in known.follows(sequel, turn.occurred_at)]
    return list(
        {(fact.subject, fact.attribute, fact.topic, fact.value, fact.polarity): fact for fact in facts + told}.values()
    )


def _compare(labelled: Mapping[str, Any], facts: Sequence[ExtractedFact], total: Score) -> None:
    text = labelled["text"]
    left = [(_labelled(fact), fact) for fact in labelled["facts"]]
    for fact in facts:
        told = _told(fact.subject, fact.attribute, fact.topic, fact.value, fact.polarity)
        match = next((pair for pair in left if _same(told, pair[0])), None)
        if match is None:
            total.wrong[fact.attribute] += 1
            total.mistakes.append(("wrong", text, told))
            continue
        left.remove(match)
        total.right[fact.attribute] += 1
        if day := match[1].get("valid_from"):
            total.dated += 1
            total.dated_right += fact.valid_from is not None and fact.valid_from.date().isoformat() == day[:10]
    for told, _ in left:
        total.missed[told.attribute] += 1
        total.mistakes.append(("missed", text, told))


def _turn(labelled: Mapping[str, Any]) -> Memory:
    said = labelled.get("said_at")
    return memory(
        labelled["text"],
        id="turn",
        role=labelled.get("role") or "user",
        speaker=labelled.get("speaker"),
        occurred_at=_aware(datetime.fromisoformat(said)) if said else A_MONDAY,
    )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _labelled(fact: Mapping[str, Any]) -> Told:
    return _told(fact["subject"], fact["attribute"], fact.get("topic"), fact["value"], fact["polarity"])


def _told(subject: str, attribute: str, topic: str | None, value: str, polarity: str) -> Told:
    return Told(normalised(subject), attribute, normalised(topic) if topic else None, normalised(value), polarity)


def _same(found: Told, labelled: Told) -> bool:
    if labelled.topic is None:
        found = found._replace(topic=None)
    if found.attribute in IN_OTHER_WORDS and found._replace(value="") == labelled._replace(value=""):
        one, other = found.value.split(), labelled.value.split()
        return one[:1] == other[:1] and (set(one) <= set(other) or set(other) <= set(one))
    return found == labelled


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer:
    return Stemmer("english")


def normalised(text: str) -> str:
    """The words of a value without articles and endings, each relative and animal by one word."""
    said = text.replace("’", "'").casefold().replace("'s ", " ").split()
    words = [word.strip(".,;:!?\"'()") for word in said]
    kept = [_SAME.get(word, vocabulary.RELATIONS.get(word, word)) for word in words if word not in _ARTICLES and word]
    return " ".join(_stemmer().stemWords(kept))


# --- conversations --------------------------------------------------------------------------------


def conversation(path: Path) -> list[Memory]:
    """Every different turn of a data set as the extractor gets it."""
    turns = {
        (turn.role, turn.speaker, turn.content): turn for history in load(path).histories for turn in history.turns
    }
    return [_as_memory(turn) for turn in turns.values()]


def _as_memory(turn: Turn) -> Memory:
    return memory(
        turn.content, id=_turn_id(turn), role=turn.role, speaker=turn.speaker, occurred_at=turn.occurred_at or A_MONDAY
    )


def _turn_id(turn: Turn) -> str:
    return hashlib.blake2b(f"{turn.role}\x1f{turn.speaker}\x1f{turn.content}".encode(), digest_size=8).hexdigest()


def fact_id(fact: ExtractedFact) -> str:
    """A hash that stands for a fact: of its turn, span, attribute, value and polarity."""
    parts = (fact.derived_from, fact.start, fact.end, fact.subject, fact.attribute, fact.value, fact.polarity)
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).hexdigest()


def found_in(turns: Sequence[Memory]) -> tuple[list[ExtractedFact], float]:
    """The facts of many turns, and the seconds it took."""
    extractor = RuleExtractor()
    extractor.extract(ExtractionRequest(turns[:100]))
    started = time.perf_counter()
    facts = [fact for turn in turns for fact in extractor.extract(ExtractionRequest([turn]))]
    return facts, time.perf_counter() - started


# --- printing -------------------------------------------------------------------------------------


def _print_score(name: str, total: Score, *, show: bool) -> None:
    found, labelled = total.right.total() + total.wrong.total(), total.right.total() + total.missed.total()
    print(f"{name}: {total.sentences} sentences, {labelled} labelled facts, {found} found")
    print(f"  precision {total.precision:.3f}  recall {total.recall:.3f}  dates {total.dated_right}/{total.dated}")
    for attribute in sorted(total.right | total.wrong | total.missed):
        right, wrong, missed = total.right[attribute], total.wrong[attribute], total.missed[attribute]
        print(f"  {attribute:14} right {right:3}  wrong {wrong:3}  missed {missed:3}")
    if show:
        for what, text, told in total.mistakes:
            print(f"  {what}: {text!r}: {told}")


def _print_conversation(path: Path) -> None:
    turns = conversation(path)
    facts, seconds = found_in(turns)
    said = [turn for turn in turns if turn.role == "user" or turn.speaker]
    print(f"{path.name}: {len(turns)} turns, {len(said)} of people, {len(facts)} facts", end="")
    print(f" ({1000 * len(facts) / len(said):.1f} in 1,000), {len(turns) / seconds:,.0f} turns/s")
    _print_verdicts({fact_id(fact) for fact in facts})


def _print_verdicts(found: Set[str]) -> None:
    """Each sample as it was read, and what of it is still found: errors that were read were then mended."""
    verdicts = json.loads(VERDICTS.read_text("utf-8"))
    for sample in sorted({verdict["sample"] for verdict in verdicts.values()}):
        mine = {id: verdict["verdict"] for id, verdict in verdicts.items() if verdict["sample"] == sample}
        read, now = Counter(mine.values()), Counter(verdict for id, verdict in mine.items() if id in found)
        if now:
            print(f"  {sample}: as read {_shares(read)}; of those found now {_shares(now)}")


def _shares(judged: Counter[str]) -> str:
    total = judged.total()
    return f"{judged['right'] / total:.3f} right, {judged['junk'] / total:.3f} junk (n={total})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=Path, nargs="*", default=LABELLED)
    parser.add_argument("--conversations", type=Path, nargs="*", default=())
    parser.add_argument("--mistakes", action="store_true", help="show the sentences that were read wrong")
    chosen = parser.parse_args()
    for path in chosen.labelled:
        if path.exists():
            _print_score(path.name, score(path), show=chosen.mistakes)
    for path in chosen.conversations:
        _print_conversation(path)


if __name__ == "__main__":
    main()
