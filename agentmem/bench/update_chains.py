"""Update chains: lives in which something changes, told in turns, and what is then true, was true, and was known.

Every chain is one user: two to five values of one attribute, each said in words of its own, among small talk, other
people's facts and mentions of values that state nothing; most arrive in order, some late. Generated from the tables
below by a seed. Half of the wordings are ``held_out``: nothing that finds or words facts was made by looking at them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from agentmem.records import Polarity, Turn

FIRST_DAY: Final = datetime(2024, 1, 8, 18, 30, tzinfo=UTC)
STORED_LATE: Final = 0.3
"""Share of chains whose turns arrive in any order."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change: from ``said_at`` on ``value`` is what ``polarity`` says of it."""

    value: str
    polarity: Polarity
    turn: Turn
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Chain:
    """A life in which one thing changes.

    Args:
        steps: In the order in which they happened, two to five.
        arrivals: Every turn of it, distractors too, in the order in which they are to be stored.
        elsewhere: Turns of another user about the same, who must not matter.
        questions: Each asks for the last value.
    """

    user: str
    subject: str
    attribute: str
    topic: str | None
    steps: tuple[Step, ...]
    arrivals: tuple[Turn, ...]
    elsewhere: tuple[Turn, ...]
    questions: tuple[str, ...]

    @property
    def is_in_order(self) -> bool:
        times = [turn.occurred_at for turn in self.arrivals]
        return times == sorted(times, key=lambda time: time or FIRST_DAY)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a chain is about: values, and words for saying and asking, seen ones and held out ones.

    Of ``says`` the first wordings may begin a chain and may be any later step; ``then`` are for later steps only;
    ``ends`` end a value, and the chain goes on from there.
    """

    attribute: str
    values: tuple[str, ...]
    says: tuple[tuple[str, ...], tuple[str, ...]]
    then: tuple[tuple[str, ...], tuple[str, ...]]
    asks: tuple[tuple[str, ...], tuple[str, ...]]
    ends: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    topic: str | None = None
    subject: str = "user"
    keeps_value: bool = False
    """True where a chain says and unsays one value instead of passing through several."""


def chains(count: int, *, seed: int = 1, held_out: bool = False) -> list[Chain]:
    """So many chains, the same for the same seed; the subjects of ``SUBJECTS`` take turns."""
    choose = random.Random(seed)  # noqa: S311 - the same for everybody is what is wanted
    return [_chain(number, SUBJECTS[number % len(SUBJECTS)], choose, held_out) for number in range(count)]


def statements(*, seed: int = 1) -> Iterator[Turn]:
    """Turns that each state a fact, without end."""
    choose = random.Random(seed)  # noqa: S311 - the same for everybody is what is wanted
    while True:
        about = choose.choice([subject for subject in SUBJECTS if not subject.keeps_value])
        yield Turn(choose.choice(about.says[0]).format(choose.choice(about.values)))


# --- making them ----------------------------------------------------------------------------------


def _chain(number: int, about: Subject, choose: random.Random, held_out: bool) -> Chain:
    values = choose.sample(about.values, min(len(about.values), 5))
    if about.attribute == "age":
        values.sort(key=int)
    steps = tuple(_steps(about, values[: choose.randint(2, 5)], choose, held_out))
    stale = [step.value for step in steps]
    turns = [step.turn for step in steps]
    for step in steps:
        turns += _distractors(about, stale, step.said_at, choose)
    turns.sort(key=lambda turn: turn.occurred_at or FIRST_DAY)
    if choose.random() < STORED_LATE:
        choose.shuffle(turns)
    other = choose.choice(about.values)
    asks = about.asks[held_out]
    return Chain(
        user=f"user-{number}",
        subject=about.subject,
        attribute=about.attribute,
        topic=about.topic,
        steps=steps,
        arrivals=tuple(turns),
        elsewhere=(Turn(about.says[0][0].format(other), occurred_at=steps[-1].said_at),),
        questions=tuple(question.format(steps[-1].value) for question in choose.sample(asks, min(2, len(asks)))),
    )


def _steps(about: Subject, values: Sequence[str], choose: random.Random, held_out: bool) -> Iterator[Step]:
    says, then, ends = about.says[held_out], about.then[held_out], about.ends[held_out]
    now = FIRST_DAY + timedelta(days=choose.randrange(40), minutes=choose.randrange(300))
    wordings = says
    for place, value in enumerate(values):
        value = values[0] if about.keeps_value else value
        polarity: Polarity = "affirmed"
        wording = choose.choice(wordings)
        if ends and place % 2 == 1 and (about.keeps_value or choose.random() < 0.5):
            value, polarity, wording = (
                values[place - 1] if not about.keeps_value else value,
                "ended",
                choose.choice(ends),
            )
        yield Step(value, polarity, Turn(wording.format(value), occurred_at=now), now)
        wordings = says + then
        now += timedelta(days=choose.randint(50, 120), minutes=choose.randrange(300))


def _distractors(about: Subject, stale: Sequence[str], said_at: datetime, choose: random.Random) -> Iterator[Turn]:
    for _ in range(choose.randint(2, 5)):
        pool = choose.choices((SMALL_TALK, MENTIONS, OTHERS, ANSWERS), weights=(4, 2, 3, 2))[0]
        text = choose.choice(pool).format(
            choose.choice(stale), name=choose.choice(NAMES), place=choose.choice(PLACES), firm=choose.choice(FIRMS)
        )
        at = said_at + timedelta(days=choose.randint(1, 40), minutes=choose.randrange(600))
        yield Turn(text, role="assistant" if pool is ANSWERS else "user", occurred_at=at)


# --- the words ------------------------------------------------------------------------------------

PLACES: Final = ("Porto", "Lisbon", "Oslo", "Bergen", "Turin", "Vienna", "Graz", "Lyon", "Ghent", "Kyoto", "Denver")
FIRMS: Final = ("Siemens", "Bosch", "Spotify", "Nokia", "Zalando", "Ikea", "Philips", "Airbus", "Adobe", "Lidl")
NAMES: Final = ("Tom", "Julia", "Marta", "Felix", "Nora", "Peter", "Sofia", "Daniel")

SMALL_TALK: Final = (
    "Thanks, that helped a lot!",
    "What a day. It rained from morning to night.",
    "Could you help me to write a short note to my landlord?",
    "We watched a film last night and fell asleep halfway through.",
    "How do I get red wine out of a tablecloth?",
    "Haha, fair enough.",
    "I am reading a long book about the history of salt.",
    "Please make that shorter.",
    "The train was late again this morning.",
    "Let's go on with the list from yesterday.",
    "I need a recipe for six people.",
    "Good morning! Ready for another round?",
)
MENTIONS: Final = (
    "A colleague told me something funny about {0} today.",
    "Do you know anything about {0}?",
    "Somebody on the radio talked about {0} for an hour.",
    "What would you say if I asked you about {0}?",
    "I saw a poster that said {0} in big letters.",
)
OTHERS: Final = (
    "My neighbour {name} lives in {place}.",
    "My brother {name} works at {firm}.",
    "My cousin {name} is a carpenter.",
    "My aunt {name} moved to {place} in spring.",
    "My uncle {name} is 61 years old.",
    "My friend {name} is vegan.",
    "My colleague {name} has a dog called Biscuit.",
    "My boss {name} is married to Robin.",
)
ANSWERS: Final = (
    "Of course! Is {0} still right, or has that changed?",
    "Many people would say {0}. Shall we go on?",
    "Here is a draft. Tell me what to change.",
    "I have noted it.",
)

_FAVOURITES: Final[Mapping[str, tuple[str, ...]]] = {
    "color": ("blue", "green", "red", "purple", "orange", "yellow", "grey"),
    "food": ("sushi", "pizza", "ramen", "lasagna", "curry", "paella", "falafel"),
    "band": ("Radiohead", "Blur", "Coldplay", "Muse", "Portishead", "Pixies", "Wilco"),
}


def _favourite(topic: str, values: tuple[str, ...]) -> Subject:
    return Subject(
        "favourite",
        values,
        says=(
            (f"My favourite {topic} is {{0}}.", f"{{0}} is my favourite {topic}."),
            (f"My favorite {topic} is {{0}}, by the way.", f"If you must know, my favourite {topic} is {{0}}."),
        ),
        then=(
            (f"My new favourite {topic} is {{0}}.", f"My favourite {topic} is {{0}} now."),
            (f"These days my favorite {topic} is {{0}}.", f"My favourite {topic} has changed: it's {{0}} now."),
        ),
        asks=(
            (f"What is my favourite {topic}?", f"Which {topic} do I like best?"),
            (f"Tell me my favorite {topic}.", f"What {topic} do I like the most these days?"),
        ),
        topic=topic,
    )


SUBJECTS: Final = (
    Subject(
        "home",
        PLACES,
        says=(
            ("I live in {0}.", "I'm living in {0}.", "I'm based in {0}."),
            ("Just so you know, I live in {0}.", "I currently live in {0} and it's lovely."),
        ),
        then=(
            ("I moved to {0}.", "I moved to {0} last week.", "I've just moved to {0}.", "I live in {0} now."),
            ("Big news: I moved to {0} yesterday!", "I have relocated to {0}.", "We moved to {0} for good."),
        ),
        asks=(
            ("Where do I live?", "Which city do I live in now?", "What is my current home?"),
            ("In which town is my place these days?", "Where am I living at the moment?"),
        ),
    ),
    Subject(
        "employer",
        FIRMS,
        says=(
            ("I work at {0}.", "I'm working for {0}.", "I work for {0}."),
            ("I currently work at {0}.", "I have a job at {0}."),
        ),
        then=(
            ("I started a new job at {0}.", "I work at {0} now.", "I got a job at {0}."),
            ("I started working at {0} this week.", "I've joined {0}.", "As of today I work for {0}."),
        ),
        ends=(("I quit my job at {0}.", "I no longer work at {0}."), ("I left {0}.", "I don't work at {0} anymore.")),
        asks=(
            ("Where do I work?", "Which company do I work for?", "Who is my employer?"),
            ("What company am I with?", "Who employs me now?"),
        ),
    ),
    Subject(
        "job",
        ("nurse", "teacher", "baker", "translator", "paramedic", "accountant", "librarian", "electrician"),
        says=(
            ("I work as a {0}.", "I'm a {0}."),
            ("I'm a {0} by profession.", "I currently work as a {0}."),
        ),
        then=(
            ("I'm a {0} now.", "I now work as a {0}."),
            ("I started working as a {0}.", "These days I work as a {0}."),
        ),
        asks=(
            ("What is my job?", "What do I do for a living?", "What do I work as?"),
            ("What's my profession now?", "What kind of work do I do?"),
        ),
    ),
    Subject(
        "partner",
        ("Robin", "Alex", "Sascha", "Jamie", "Charlie", "Quinn", "Morgan", "Riley"),
        says=(
            ("I'm dating {0}.", "My partner is called {0}.", "My partner's name is {0}."),
            ("I'm seeing {0}.", "I'm in a relationship with {0}."),
        ),
        then=(
            ("I'm dating {0} now.", "I'm now dating {0}."),
            ("I'm dating {0} these days.", "I started dating {0}."),
        ),
        ends=(("I broke up with {0}.",), ("I split up with {0}.", "{0} and I have separated.")),
        asks=(
            ("Who is my partner?", "Who am I dating?"),
            ("Who am I in a relationship with?", "Am I seeing somebody?"),
        ),
    ),
    Subject(
        "phone",
        ("+49 170 5550101", "+49 170 5550187", "+49 151 5550133", "+49 172 5550164", "+49 160 5550119"),
        says=(
            ("My phone number is {0}.", "My number is {0}."),
            ("My mobile number is {0}.", "My cell is {0}."),
        ),
        then=(
            ("My new phone number is {0}.", "My phone number is {0} now."),
            ("My new number is {0}.", "I have a new phone number: {0}."),
        ),
        asks=(
            ("What is my phone number?", "Which number can people call me on?"),
            ("What's my mobile number now?", "On what number can I be reached?"),
        ),
    ),
    Subject(
        "email",
        ("ana@example.org", "ana.k@example.com", "hello@ana.example", "ak@mail.example", "ana77@post.example"),
        says=(
            ("My email is {0}.", "My email address is {0}."),
            ("My e-mail is {0}.", "My mail address is {0}."),
        ),
        then=(
            ("My new email address is {0}.", "My email is {0} now."),
            ("My new e-mail is {0}.", "My e-mail address is now {0}."),
        ),
        asks=(
            ("What is my email address?", "What's my e-mail?"),
            ("Which mail address do I use?", "Where can I be emailed?"),
        ),
    ),
    *(_favourite(topic, values) for topic, values in _FAVOURITES.items()),
    Subject(
        "age",
        ("24", "29", "33", "38", "41", "45"),
        says=(("I'm {0} years old.", "I am {0} years old."), ("I'm {0}.", "I am {0} years of age.")),
        then=(("I turned {0} today.", "I just turned {0}."), ("I'm {0} now.", "I turned {0} yesterday.")),
        asks=(("How old am I?", "What is my age?"), ("How many years old am I now?", "What age am I?")),
    ),
    Subject(
        "diet",
        ("vegetarian", "vegan", "pescatarian"),
        says=(("I'm {0}.", "I'm a {0}."), ("I am a {0}.", "Keep in mind that I'm {0}.")),
        then=(("I went {0}.", "I'm {0} now."), ("I've gone {0}.", "I became a {0}.")),
        asks=(("What is my diet?", "What do I eat?"), ("What way of eating do I follow?", "What's my diet now?")),
    ),
    Subject(
        "pet",
        ("Rex", "Bella", "Bruno", "Luna", "Otto", "Milo"),
        says=(
            ("I have a dog called {0}.", "I have a dog named {0}."),
            ("My dog is called {0}.", "My dog's name is {0}."),
        ),
        then=((), ()),
        ends=(
            ("My dog {0} died.", "My dog {0} passed away."),
            ("My dog {0} died last week.", "My dog {0} passed away yesterday."),
        ),
        asks=(("What about my dog {0}?", "Do I have a dog called {0}?"), ("Is my dog {0} still there?",)),
        topic="dog",
        keeps_value=True,
    ),
    Subject(
        "likes",
        ("olives", "chess", "jazz", "camping", "horror films", "karaoke", "anchovies", "gardening"),
        says=(("I like {0}.", "I love {0}."), ("I really like {0}.", "I'm a big fan of {0}.")),
        then=((), ()),
        ends=(
            ("I don't like {0} anymore.", "I no longer like {0}."),
            ("I don't enjoy {0} any more.", "I no longer love {0}."),
        ),
        asks=(("Do I like {0}?", "What do I think of {0}?"), ("How do I feel about {0}?", "Am I fond of {0}?")),
        keeps_value=True,
    ),
    Subject(
        "home",
        PLACES,
        says=(
            ("My sister Clara lives in {0}.", "My sister Clara is based in {0}."),
            ("My sister Clara currently lives in {0}.", "My sister Clara is living in {0}."),
        ),
        then=(
            ("My sister Clara moved to {0}.", "My sister Clara lives in {0} now."),
            ("My sister Clara has moved to {0}.", "My sister Clara just moved to {0}."),
        ),
        asks=(
            ("Where does Clara live?", "Which city does my sister Clara live in?"),
            ("What town is Clara in now?", "Where is Clara's home?"),
        ),
        subject="Clara",
    ),
)
