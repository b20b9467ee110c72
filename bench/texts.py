"""Turns to measure with: made here, the same on every machine, with the word statistics of small talk."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from agentmem import Turn

LOCOMO: Final = Path(__file__).parents[2] / "shared" / "data" / "locomo_dev.json"

_WHO: Final = "I|my sister|Tom|our neighbour|my boss|Grandma|the dentist|Priya|the landlord|my running partner".split(
    "|"
)
_DID: Final = (
    "bought|lost|fixed|painted|cooked|forgot|sold|borrowed|cancelled|visited|planned|wrote about|dreamed of|paid for"
).split("|")
_WHAT: Final = (
    "a blue bicycle|the old piano|a lasagna|two train tickets|the garden fence|a passport|the winter coat|a camera|"
    "some tomatoes|the kitchen table|a concert|the tax form|a guitar lesson|an electric heater|a bookshelf|the tent|"
    "a sourdough starter|the insurance|a birthday cake|the museum|a podcast|three chickens|a sewing machine"
).split("|")
_WHERE: Final = (
    "in Lisbon|near the harbour|at the market|in Oslo|by the lake|at work|in Nagoya|on the island|in the attic|"
    "at the station|in Graz|behind the church|in the new flat|at school|on the ferry|in Córdoba"
).split("|")
_HOW: Final = (
    "because it was raining|and it took hours|but nobody noticed|for the third time|with a lot of help|"
    "and I felt great about it|although it was expensive|before the guests arrived|so we laughed all evening|"
    "which reminded me of last summer|and now I am tired|as promised"
).split("|")
_ASKS: Final = ("What do you think?", "Have you ever done that?", "Remember?", "Can you believe it?", "", "", "", "")
_RARE: Final = tuple(
    f"{first}{last}"
    for first in "bartol fenwick grimsal kordova lumina".split()
    for last in "aer dun eth ify mont ora pex ulk vane wick".split()
)


def turns(count: int, *, seed: int = 1, per_session: int = 20) -> Iterator[Turn]:
    """``count`` turns of two people, in sessions, one minute apart."""
    choose = random.Random(seed)
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for number in range(count):
        words = [choose.choice(_WHO), choose.choice(_DID), choose.choice(_WHAT), choose.choice(_WHERE)]
        if number % 7 == 0:
            words.append(f"with {choose.choice(_RARE)} {choose.randrange(10_000)}")
        sentence = f"{' '.join(words)} {choose.choice(_HOW)}. {choose.choice(_ASKS)}".strip()
        yield Turn(
            sentence[0].upper() + sentence[1:],
            role="user" if number % 2 == 0 else "assistant",
            speaker="Ana" if number % 2 == 0 else "Bo",
            occurred_at=start + timedelta(minutes=number),
            session=f"session-{number // per_session}",
        )


def questions(count: int, *, seed: int = 2) -> list[str]:
    """Questions about such turns."""
    choose = random.Random(seed)
    return [
        f"When did {choose.choice(_WHO)} say something about {choose.choice(_WHAT)} {choose.choice(_WHERE)}?"
        for _ in range(count)
    ]


def locomo_turns(path: Path = LOCOMO) -> list[Turn]:
    """The turns of LoCoMo's development conversations; empty where the data is not at hand."""
    if not path.exists():
        return []
    found: list[Turn] = []
    for sample in json.loads(path.read_text(encoding="utf-8")):
        conversation = sample["conversation"]
        sessions = [key for key in conversation if key.startswith("session_") and not key.endswith("date_time")]
        for session in sessions:
            said_at = datetime.strptime(conversation[f"{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(
                tzinfo=UTC
            )
            for turn in conversation[session]:
                text = turn.get("text") or turn.get("blip_caption") or ""
                if text.strip():
                    found.append(
                        Turn(
                            text,
                            speaker=turn["speaker"],
                            occurred_at=said_at,
                            session=f"{sample['sample_id']}-{session}",
                        )
                    )
    return found
