"""LoCoMo and LongMemEval as the bench needs them: turns in order, questions, gold. Nothing of them ships.

Label traps are handled here: malformed evidence ids are repaired, sessions that are out of order are sorted, session
ids of LongMemEval (the gold ones contain "answer") never reach the memory.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.records import Turn

KNOWN_FILES: Final[Mapping[str, str]] = {
    "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4": "LoCoMo, 10 conversations, as released",
    "d6f21ea9d60a0d56f34a05b609c79c88a451d2ae03597821ea3d5a9678c3a442": "LongMemEval-S, cleaned, 500 questions",
}
"""SHA-256 of the files that published figures are about."""
LOCOMO_CATEGORIES: Final[Mapping[int, str]] = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
    5: "adversarial",
}
_EVIDENCE: Final = re.compile(r"D:?(\d+):(\d+)")


@dataclass(frozen=True, slots=True)
class BenchQuestion:
    """One question with its gold: indices of turns, and of sessions."""

    text: str
    category: str
    turns: frozenset[int]
    sessions: frozenset[int]


@dataclass(frozen=True, slots=True)
class History:
    """What one memory is asked about: turns in the order said, the session number of each, the questions."""

    turns: tuple[Turn, ...]
    sessions: tuple[int, ...]
    questions: tuple[BenchQuestion, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """``kind`` is ``locomo`` or ``longmemeval``; ``sha256`` is that of the file as it lies on disk."""

    kind: str
    sha256: str
    histories: tuple[History, ...]

    @property
    def known_as(self) -> str:
        """The published file that this is, or that it is none of them."""
        return KNOWN_FILES.get(self.sha256, "not a published file: figures are not comparable with published ones")


def load(path: Path) -> Dataset:
    """The data set in a JSON file (``.gz`` too); which one it is tells its layout.

    Raises:
        InvalidInput: the file is neither LoCoMo nor LongMemEval.
    """
    raw = path.read_bytes()
    sha256 = hashlib.sha256(raw).hexdigest()
    try:
        records = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}.") from error
    first = records[0] if isinstance(records, list) and records else {}
    if "conversation" in first and "qa" in first:
        return Dataset("locomo", sha256, tuple(_locomo(record) for record in records))
    if "haystack_sessions" in first:
        return Dataset("longmemeval", sha256, tuple(_longmemeval(record) for record in _answerable(records)))
    raise InvalidInput(f"{path} has the layout of neither LoCoMo nor LongMemEval.")


def _locomo(record: Mapping[str, Any]) -> History:
    conversation = record["conversation"]
    numbers = sorted(int(found[1]) for key in conversation if (found := re.fullmatch(r"session_(\d+)", key)))
    turns: list[Turn] = []
    sessions: list[int] = []
    places: dict[tuple[int, int], int] = {}
    for number in numbers:
        said = datetime.strptime(conversation[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y")
        for entry in conversation[f"session_{number}"]:
            places[_dialog_id(entry["dia_id"])] = len(turns)
            caption = f" [shared image: {entry['blip_caption']}]" if entry.get("blip_caption") else ""
            turns.append(
                Turn(
                    entry["text"] + caption,
                    speaker=entry["speaker"],
                    occurred_at=said.replace(tzinfo=UTC),
                    session=f"session {number}",
                )
            )
            sessions.append(number)
    questions = [_locomo_question(entry, places) for entry in record["qa"]]
    return History(tuple(turns), tuple(sessions), tuple(question for question in questions if question.turns))


def _locomo_question(entry: Mapping[str, Any], places: Mapping[tuple[int, int], int]) -> BenchQuestion:
    named = {(int(s), int(t)) for text in entry["evidence"] for s, t in _EVIDENCE.findall(text)}
    gold = named & places.keys()
    return BenchQuestion(
        entry["question"],
        LOCOMO_CATEGORIES[entry["category"]],
        frozenset(places[key] for key in gold),
        frozenset(session for session, _ in gold),
    )


def _dialog_id(text: str) -> tuple[int, int]:
    found = _EVIDENCE.fullmatch(text)
    if found is None:
        raise InvalidInput(f"LoCoMo: {text!r} is not a dialog id like D3:11.")
    return int(found[1]), int(found[2])


def _answerable(records: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Those that have an answer: ``_abs`` asks for what was never said."""
    return (record for record in records if not record["question_id"].endswith("_abs"))


def _longmemeval(record: Mapping[str, Any]) -> History:
    times = [_longmemeval_time(text) for text in record["haystack_dates"]]
    turns: list[Turn] = []
    sessions: list[int] = []
    gold_turns: set[int] = set()
    gold_sessions: set[int] = set()
    for number, place in enumerate(sorted(range(len(times)), key=times.__getitem__)):
        if record["haystack_session_ids"][place] in record["answer_session_ids"]:
            gold_sessions.add(number)
        for entry in record["haystack_sessions"][place]:
            if not entry["content"].strip():
                continue
            if entry.get("has_answer"):
                gold_turns.add(len(turns))
            turns.append(
                Turn(entry["content"], role=entry["role"], occurred_at=times[place], session=f"session {number}")
            )
            sessions.append(number)
    question = BenchQuestion(
        record["question"], record["question_type"], frozenset(gold_turns), frozenset(gold_sessions)
    )
    return History(tuple(turns), tuple(sessions), (question,))


def _longmemeval_time(text: str) -> datetime:
    return datetime.strptime(re.sub(r"\s*\(\w+\)\s*", " ", text), "%Y/%m/%d %H:%M").replace(tzinfo=UTC)
