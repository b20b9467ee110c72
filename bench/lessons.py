"""Whether an agent learns from its lessons: `python -m bench.lessons [--rounds N] [--seeds N]`.

A simulated agent meets 32 families of tasks again and again, in changing words. In a family one or two of six actions
work and the others fail; the four families of a field share their actions but not which of them work, so that a lesson
of the wrong family misleads. Without lessons the agent picks as its habits say, whatever happened before. With them it
retrieves before it acts, prefers what is said to have worked, avoids what is said to have failed, and stores what came
of it. In the `misled` runs two false lessons about each family are there from the start; with feedback the agent says
of each lesson that it relied on whether it helped.

A repeated failure is an action that fails though it had failed in this family before. Figures are shares of all tries
behind the first round, of the second half (`late`) and of the last round, over several seeds. No data, no network, no
model; the same for the same seeds.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Final, NamedTuple

from agentmem import Hit, Lesson, MemoryManager, Scope, Turn
from bench.timing import report

BOUNDS: Final = {
    "families": (">=", 30),
    "repeated_failures": ("<=", 0.12),
    "success_last_round": (">=", 0.9),
    "misled_repeated_failures": ("<=", 0.25),
    "misled_repeated_failures_late": ("<=", 0.2),
    "misled_success_last_round": (">=", 0.75),
}
_HITS: Final = 16
_ABOUT_IT: Final = 0.5
"""A lesson of less confidence than this share of the best one's is taken to be about something else."""


_Act = Callable[["Family", str], str]
_Learn = Callable[["Family", str, str, bool], None]


class Family(NamedTuple):
    """One kind of task: what it is about, what is the matter (both in several words), what may be done, what works."""

    name: str
    what: tuple[str, ...]
    how: tuple[str, ...]
    actions: tuple[str, ...]
    works: frozenset[str]

    def wording(self, choose: random.Random) -> str:
        """One way to describe it."""
        return " ".join((choose.choice(self.what), choose.choice(self.how), choose.choice(_ASIDE))).strip()


@dataclass
class Figures:
    """What happened in one run, a number per round."""

    tries: list[int] = field(default_factory=list)
    successes: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)

    def failed_again(self, since: int = 1) -> float:
        """The share of repeated failures from that round on."""
        return sum(self.repeated[since:]) / sum(self.tries[since:])

    def last(self) -> float:
        """The share of successes in the last round."""
        return self.successes[-1] / self.tries[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    runs = [figures(families(seed), rounds=given.rounds, seed=seed) for seed in range(given.seeds)]
    means = {name: fmean(run[name] for run in runs) for name in runs[0]}
    report("lessons", {"families": len(families(0)), "rounds": given.rounds, "seeds": given.seeds, **means}, BOUNDS)


def figures(met: list[Family], *, rounds: int, seed: int) -> dict[str, float]:
    """Repeated failures and successes without lessons, with them, and with false ones among them."""
    runs = {
        "without": habits_only(met, rounds=rounds, seed=seed),
        "": with_lessons(met, rounds=rounds, seed=seed),
        "misled_without_feedback": with_lessons(met, rounds=rounds, seed=seed, misleading=2, gives_feedback=False),
        "misled": with_lessons(met, rounds=rounds, seed=seed, misleading=2),
    }
    found = {}
    for name, run in runs.items():
        said = f"{name}_" if name else ""
        found[f"{said}repeated_failures"] = run.failed_again()
        found[f"{said}repeated_failures_late"] = run.failed_again(rounds // 2)
        found[f"{said}success_last_round"] = run.last()
    return found


# --- the agent ------------------------------------------------------------------------------------


def habits_only(met: list[Family], *, rounds: int, seed: int) -> Figures:
    """An agent that starts every session without knowing of the others."""
    choose = random.Random(seed)
    return _run(met, rounds, choose, lambda family, _: _habit(family.actions, choose), lambda *_: None)


def with_lessons(
    met: list[Family], *, rounds: int, seed: int, misleading: int = 0, gives_feedback: bool = True
) -> Figures:
    """An agent that looks for lessons before it acts and stores one afterwards."""
    choose = random.Random(seed)
    scope = Scope(agent="operator")
    clock = _Clock()
    with MemoryManager({"type": "sql", "url": "sqlite://"}, extractor=None, clock=clock) as memory:
        for family in met:
            wrong = choose.sample(sorted(set(family.actions) - family.works), misleading)
            false = [Lesson(family.wording(choose), action, "it worked", 1.0) for action in wrong]
            memory.store_many([Turn.of_lesson(lesson) for lesson in false], scope=scope)
            memory.store(f"Somebody asked about this: {family.wording(choose)}.", scope=scope)
        relied_on: dict[str, list[Hit]] = {}

        def act(family: Family, wording: str) -> str:
            hits = [hit for hit in memory.retrieve(wording, scope=scope, k=_HITS) if hit.memory.lesson is not None]
            surest = max((hit.confidence for hit in hits), default=0.0)
            said = dict.fromkeys(family.actions, 0.0)
            relied_on.clear()
            for hit in hits:
                lesson, standing = hit.memory.lesson, hit.standing
                assert lesson is not None
                assert standing is not None
                if lesson.action in said:
                    said[lesson.action] += hit.confidence**2 * standing * lesson.result
                    if hit.confidence >= _ABOUT_IT * surest:
                        relied_on.setdefault(lesson.action, []).append(hit)
            top = max(said.values())
            return _habit(tuple(action for action in family.actions if said[action] == top), choose)

        def learn(family: Family, wording: str, action: str, worked: bool) -> None:
            if gives_feedback:
                for hit in relied_on.get(action, ()):
                    lesson = hit.memory.lesson
                    assert lesson is not None
                    memory.feedback(hit, scope=scope, outcome=1.0 if (lesson.result > 0) == worked else -1.0)
            clock.now += timedelta(hours=1)
            outcome = "it worked" if worked else "it did not help"
            memory.store(Turn.of_lesson(Lesson(wording, action, outcome, 1.0 if worked else -1.0)), scope=scope)

        return _run(met, rounds, choose, act, learn)


class _Clock:
    """Moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 5, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def _run(met: list[Family], rounds: int, choose: random.Random, act: _Act, learn: _Learn) -> Figures:
    seen = Figures()
    failed: set[tuple[str, str]] = set()
    for _ in range(rounds):
        tries = successes = repeated = 0
        for family in choose.sample(met, len(met)):
            wording = family.wording(choose)
            action = act(family, wording)
            worked = action in family.works
            tries += 1
            successes += worked
            repeated += not worked and (family.name, action) in failed
            if not worked:
                failed.add((family.name, action))
            learn(family, wording, action, worked)
        for name, count in (("tries", tries), ("successes", successes), ("repeated", repeated)):
            getattr(seen, name).append(count)
    return seen


def _habit(actions: tuple[str, ...], choose: random.Random) -> str:
    """The first actions come to mind first."""
    return choose.choices(actions, [1 / (place + 1) for place in range(len(actions))])[0]


# --- what it meets --------------------------------------------------------------------------------


def families(seed: int) -> list[Family]:
    """Every family; the seed decides which actions work and which come to mind first."""
    choose = random.Random(seed)
    met = []
    for area, (actions, *described) in _FIELDS.items():
        known = actions.split(", ")
        for each in described:
            what, how = (part.split(", ") for part in each.split(": "))
            order = tuple(choose.sample(known, len(known)))
            works = frozenset(choose.sample(known, choose.choice((1, 1, 2))))
            met.append(Family(f"{area}, {how[0]}", tuple(what), tuple(how), order, works))
    return met


_ASIDE: Final = ("", "again", "once more", "and we do not know why", "as it did before", "of all things")
_FIELDS: Final = {
    "builds": (
        "clear the cache, halve the parallel jobs, pin the compiler, try again, install the headers, take a new runner",
        "the build, compiling, the linker: runs out of memory, is killed for want of RAM, needs too much memory",
        "the build, the binary, the artefact: still shows old code, lacks a merged change, is out of date",
        "the build, the wheel, the extension: cannot find a header, stops at a missing include, lacks ssl.h",
        "the build, the pipeline, the compiler: complains of a deprecation, fails on a new warning, refuses old code",
    ),
    "tests": (
        "run them one by one, freeze the clock, mock the service, raise the timeout, reset the database, sort first",
        "a test, the calendar suite, an assertion: fails at midnight, breaks at the end of the month, is off by a day",
        "a test, the suite, one case: fails when another ran before, depends on the order, finds rows of another test",
        "a test, a comparison, the list assertion: sees shuffled items, gets another order each run, is unordered",
        "a test, the suite, the payment case: hangs on the network, calls the real service, needs the internet",
    ),
    "databases": (
        "add an index, enlarge the pool, shorten the transaction, vacuum the table, ask the replica, rewrite the join",
        "the email lookup, a customer search, the filter: scans the whole table, takes seconds, reads every row",
        "the order update, a transaction, the nightly job: deadlocks, waits for a lock, blocks another writer",
        "the web server, a request, the pool: has no free connection, waits for a connection, is out of connections",
        "the sessions table, the disk, the purge: keeps dead rows, does not shrink, is full of bloat",
    ),
    "customers": (
        "refund them, send a new one, ask a manager, ask for a photo, link to the policy, call them",
        "a parcel, the vase, a cup: arrived broken, has a crack, was smashed in transit",
        "a parcel, the order, a shipment: is two weeks late, has not arrived, is stuck with the courier",
        "a customer, a caller, the client: is furious, threatens to sue, shouts in capitals",
        "the shoes, a jacket, the dress: does not fit, is the wrong size, is too small",
    ),
    "kitchen": (
        "lower the heat, add salt, let it rest, add water, knead it longer, cover it with foil",
        "the roast, the chicken, the turkey: is dry inside, loses its juice, gets tough",
        "the cake, the pie, the lasagne: burns on top, is black above and raw below, browns too early",
        "the bread, the loaf, the dough: does not rise, stays flat, comes out dense",
        "the sauce, the gravy, the soup: is too thick, turned into paste, sticks to the pan",
    ),
    "garden": (
        "water it early, move it into the shade, prune it, add compost, spray it with soap, repot it",
        "the rose, a bean, the shoots: is full of aphids, has green lice, crawls with insects",
        "the fern, the hydrangea, a leaf: is scorched by the sun, bleaches in the light, has burnt edges",
        "the ficus, a houseplant, the lemon tree: has roots out of the pot, outgrew its pot, is root bound",
        "the tomatoes, the lettuce, the bed: grows pale, looks starved, gives less every year",
    ),
    "travel": (
        "take an earlier one, take the bus, call the hotel, bring a charger, reserve a seat, carry cash",
        "the train, the connection, the transfer: was missed, leaves too little time to change, is too tight",
        "the train, the carriage, the Friday express: is packed, has no free seat, is overcrowded",
        "the hotel, the guest house, the reception: closes before we come, gave the room away, is shut at night",
        "the taxi, the ferry, the market stall: takes no cards, refuses plastic, wants cash only",
    ),
    "meetings": (
        "send an agenda, shorten it, ask each in turn, move it to the morning, write it down, cancel it",
        "the team, the review, the round: stays silent, hears two people only, lets the loud ones speak",
        "the call, the decision, the agreement: is forgotten, is disputed later, is taken a third time",
        "the late slot, the evening session, the team: is tired, yawns, cannot concentrate",
        "the weekly sync, the status round, the call: has no topic, repeats the board, is held out of habit",
    ),
}


if __name__ == "__main__":
    main()
