"""Update chains: lives in which something changes, told in turns, and what is then true, was true, and was known.

Every chain is one user: two to five values of one attribute, each said in words of its own, among small talk, other
people's facts and mentions of values that state nothing; most arrive in order, some late. Generated from the tables
below by a seed. The wordings come in three sets: those ``seen`` while the rules were written, those ``held out`` until
the rules were first measured, and ``fresh`` ones, written down after that and before the rules were mended.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

from agentmem.records import Polarity, Turn

FIRST_DAY: Final = datetime(2024, 1, 8, 18, 30, tzinfo=UTC)
STORED_LATE: Final = 0.3
"""Share of chains whose turns arrive in any order."""
Wording = Literal["seen", "held out", "fresh"]
WORDINGS: Final[tuple[Wording, ...]] = get_args(Wording)


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


_Words = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a chain is about: values, and words for saying and asking: seen ones, held out ones, fresh ones.

    Of ``says`` the first wordings may begin a chain and may be any later step; ``then`` are for later steps only;
    ``ends`` end a value, and the chain goes on from there.
    """

    attribute: str
    values: tuple[str, ...]
    says: _Words
    then: _Words
    asks: _Words
    ends: _Words = ((), (), ())
    topic: str | None = None
    subject: str = "user"
    keeps_value: bool = False
    """True where a chain says and unsays one value instead of passing through several."""


def chains(count: int, *, seed: int = 1, words: Wording = "seen") -> list[Chain]:
    """So many chains, the same for the same seed; the subjects of ``SUBJECTS`` take turns."""
    choose = random.Random(seed)  # noqa: S311 - the same for everybody is what is wanted
    return [_chain(number, SUBJECTS[number % len(SUBJECTS)], choose, words) for number in range(count)]


def statements(*, seed: int = 1) -> Iterator[Turn]:
    """Turns that each state a fact, without end."""
    choose = random.Random(seed)  # noqa: S311 - the same for everybody is what is wanted
    while True:
        about = choose.choice([subject for subject in SUBJECTS if not subject.keeps_value])
        yield Turn(choose.choice(about.says[0]).format(choose.choice(about.values)))


# --- making them ----------------------------------------------------------------------------------


def _chain(number: int, about: Subject, choose: random.Random, words: Wording) -> Chain:
    values = choose.sample(about.values, min(len(about.values), 5))
    if about.attribute == "age":
        values.sort(key=int)
    steps = tuple(_steps(about, values[: choose.randint(2, 5)], choose, words))
    stale = [step.value for step in steps]
    turns = [step.turn for step in steps]
    for step in steps:
        turns += _distractors(about, stale, step.said_at, choose)
    turns.sort(key=lambda turn: turn.occurred_at or FIRST_DAY)
    if choose.random() < STORED_LATE:
        choose.shuffle(turns)
    other = choose.choice(about.values)
    asks = about.asks[WORDINGS.index(words)]
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


def _steps(about: Subject, values: Sequence[str], choose: random.Random, words: Wording) -> Iterator[Step]:
    chosen = WORDINGS.index(words)
    says, then, ends = about.says[chosen], about.then[chosen], about.ends[chosen]
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
            (
                f"By the way, my favourite {topic} is {{0}}.",
                f"I'd say my favourite {topic} is {{0}}.",
                f"Of all of them, {{0}} is my favourite {topic}.",
            ),
        ),
        then=(
            (f"My new favourite {topic} is {{0}}.", f"My favourite {topic} is {{0}} now."),
            (f"These days my favorite {topic} is {{0}}.", f"My favourite {topic} has changed: it's {{0}} now."),
            (
                f"My favourite {topic} is {{0}} nowadays.",
                f"{{0}} is my new favourite {topic}.",
                f"My favorite {topic} has become {{0}}.",
            ),
        ),
        asks=(
            (f"What is my favourite {topic}?", f"Which {topic} do I like best?"),
            (f"Tell me my favorite {topic}.", f"What {topic} do I like the most these days?"),
            (
                f"Do you remember my favourite {topic}?",
                f"What would I call my favourite {topic}?",
                f"Which {topic} is my favorite?",
                f"Name my favourite {topic}.",
            ),
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
            (
                "Home is {0} for me.",
                "My home is in {0}.",
                "I've been living in {0} for a while.",
            ),
        ),
        then=(
            ("I moved to {0}.", "I moved to {0} last week.", "I've just moved to {0}.", "I live in {0} now."),
            ("Big news: I moved to {0} yesterday!", "I have relocated to {0}.", "We moved to {0} for good."),
            (
                "My new home is {0}.",
                "I've settled in {0}.",
                "I'm back in {0}.",
                "I ended up moving to {0}.",
                "We relocated to {0} in the end.",
                "Home is {0} these days.",
            ),
        ),
        asks=(
            ("Where do I live?", "Which city do I live in now?", "What is my current home?"),
            ("In which town is my place these days?", "Where am I living at the moment?"),
            (
                "Where do I live these days?",
                "What place do I call home?",
                "Which town did I move to?",
                "Where is my home?",
            ),
        ),
    ),
    Subject(
        "employer",
        FIRMS,
        says=(
            ("I work at {0}.", "I'm working for {0}.", "I work for {0}."),
            ("I currently work at {0}.", "I have a job at {0}."),
            (
                "I'm employed at {0}.",
                "I'm employed by {0}.",
                "My employer is {0}.",
            ),
        ),
        then=(
            ("I started a new job at {0}.", "I work at {0} now.", "I got a job at {0}."),
            ("I started working at {0} this week.", "I've joined {0}.", "As of today I work for {0}."),
            (
                "I now work for {0}.",
                "I changed jobs: I work at {0} now.",
                "I just joined {0}.",
                "My new employer is {0}.",
                "I took a job at {0}.",
            ),
        ),
        ends=(
            ("I quit my job at {0}.", "I no longer work at {0}."),
            ("I left {0}.", "I don't work at {0} anymore."),
            (
                "I resigned from {0}.",
                "I've left {0}.",
                "I stopped working for {0}.",
                "I got fired from {0}.",
            ),
        ),
        asks=(
            ("Where do I work?", "Which company do I work for?", "Who is my employer?"),
            ("What company am I with?", "Who employs me now?"),
            (
                "Which firm employs me?",
                "What is the name of my employer?",
                "Where do I have my job?",
                "For whom do I work?",
            ),
        ),
    ),
    Subject(
        "job",
        ("nurse", "teacher", "baker", "translator", "paramedic", "accountant", "librarian", "electrician"),
        says=(
            ("I work as a {0}.", "I'm a {0}."),
            ("I'm a {0} by profession.", "I currently work as a {0}."),
            (
                "By trade I'm a {0}.",
                "I earn my living as a {0}.",
                "My job is {0}.",
                "I'm employed as a {0}.",
            ),
        ),
        then=(
            ("I'm a {0} now.", "I now work as a {0}."),
            ("I started working as a {0}.", "These days I work as a {0}."),
            (
                "I got a job as a {0}.",
                "I've become a {0}.",
                "I'm working as a {0} now.",
                "They hired me as a {0}.",
                "I've started as a {0}.",
            ),
        ),
        asks=(
            ("What is my job?", "What do I do for a living?", "What do I work as?"),
            ("What's my profession now?", "What kind of work do I do?"),
            (
                "What am I by profession?",
                "As what do I work?",
                "What is my current occupation?",
                "What job do I have?",
            ),
        ),
    ),
    Subject(
        "partner",
        ("Robin", "Alex", "Sascha", "Jamie", "Charlie", "Quinn", "Morgan", "Riley"),
        says=(
            ("I'm dating {0}.", "My partner is called {0}.", "My partner's name is {0}."),
            ("I'm seeing {0}.", "I'm in a relationship with {0}."),
            (
                "I'm together with {0}.",
                "I'm going out with {0}.",
                "My partner {0} makes me happy.",
                "{0} and I are a couple.",
            ),
        ),
        then=(
            ("I'm dating {0} now.", "I'm now dating {0}."),
            ("I'm dating {0} these days.", "I started dating {0}."),
            (
                "I'm together with {0} now.",
                "I've started seeing {0}.",
                "I have a new partner: {0}.",
                "{0} and I are dating now.",
            ),
        ),
        ends=(
            ("I broke up with {0}.",),
            ("I split up with {0}.", "{0} and I have separated."),
            (
                "{0} and I broke up.",
                "I'm not seeing {0} anymore.",
                "I'm no longer with {0}.",
                "{0} left me.",
            ),
        ),
        asks=(
            ("Who is my partner?", "Who am I dating?"),
            ("Who am I in a relationship with?", "Am I seeing somebody?"),
            (
                "Who am I together with?",
                "Who am I seeing?",
                "What is my partner called?",
                "With whom am I in a relationship?",
            ),
        ),
    ),
    Subject(
        "phone",
        ("+49 170 5550101", "+49 170 5550187", "+49 151 5550133", "+49 172 5550164", "+49 160 5550119"),
        says=(
            ("My phone number is {0}.", "My number is {0}."),
            ("My mobile number is {0}.", "My cell is {0}."),
            (
                "You can reach me on {0}.",
                "My mobile is {0}.",
                "Call me on {0}.",
                "Here's my number: {0}.",
            ),
        ),
        then=(
            ("My new phone number is {0}.", "My phone number is {0} now."),
            ("My new number is {0}.", "I have a new phone number: {0}."),
            (
                "My number has changed to {0}.",
                "My number is now {0}.",
                "I've got a new number: {0}.",
                "My number has changed: it's {0} now.",
            ),
        ),
        asks=(
            ("What is my phone number?", "Which number can people call me on?"),
            ("What's my mobile number now?", "On what number can I be reached?"),
            (
                "What number do I have?",
                "How can I be phoned?",
                "Which phone number is mine?",
                "What is the number of my phone?",
            ),
        ),
    ),
    Subject(
        "email",
        ("ana@example.org", "ana.k@example.com", "hello@ana.example", "ak@mail.example", "ana77@post.example"),
        says=(
            ("My email is {0}.", "My email address is {0}."),
            ("My e-mail is {0}.", "My mail address is {0}."),
            (
                "You can email me at {0}.",
                "Write to me at {0}.",
                "My address is {0}.",
                "Send it to my mail, {0}.",
            ),
        ),
        then=(
            ("My new email address is {0}.", "My email is {0} now."),
            ("My new e-mail is {0}.", "My e-mail address is now {0}."),
            (
                "My email has changed to {0}.",
                "I have a new email address: {0}.",
                "Please use my new address, {0}.",
                "My email is now {0}.",
            ),
        ),
        asks=(
            ("What is my email address?", "What's my e-mail?"),
            ("Which mail address do I use?", "Where can I be emailed?"),
            (
                "What's my mail address?",
                "Which email is mine?",
                "At which address do I get mail?",
                "What is my current e-mail address?",
            ),
        ),
    ),
    *(_favourite(topic, values) for topic, values in _FAVOURITES.items()),
    Subject(
        "age",
        ("24", "29", "33", "38", "41", "45"),
        says=(
            ("I'm {0} years old.", "I am {0} years old."),
            ("I'm {0}.", "I am {0} years of age."),
            (
                "I'm a {0}-year-old.",
                "I am {0} now.",
                "I'm {0} and feeling fine.",
            ),
        ),
        then=(
            ("I turned {0} today.", "I just turned {0}."),
            ("I'm {0} now.", "I turned {0} yesterday."),
            (
                "I've just turned {0}.",
                "I turned {0} last week.",
                "I turned {0} on Sunday.",
                "As of today I'm {0}.",
            ),
        ),
        asks=(
            ("How old am I?", "What is my age?"),
            ("How many years old am I now?", "What age am I?"),
            (
                "How old am I now?",
                "What's my age now?",
                "Do you know how old I am?",
                "How many years old am I?",
            ),
        ),
    ),
    Subject(
        "diet",
        ("vegetarian", "vegan", "pescatarian"),
        says=(
            ("I'm {0}.", "I'm a {0}."),
            ("I am a {0}.", "Keep in mind that I'm {0}."),
            (
                "I eat {0}.",
                "I follow a {0} diet.",
                "I live on a {0} diet.",
                "I'm {0}, remember?",
            ),
        ),
        then=(
            ("I went {0}.", "I'm {0} now."),
            ("I've gone {0}.", "I became a {0}."),
            (
                "I've turned {0}.",
                "I've become {0}.",
                "I've been {0} for a week now.",
                "I switched to a {0} diet.",
            ),
        ),
        asks=(
            ("What is my diet?", "What do I eat?"),
            ("What way of eating do I follow?", "What's my diet now?"),
            (
                "Which diet am I on?",
                "How do I eat?",
                "What sort of diet do I follow?",
                "What is my current diet?",
            ),
        ),
    ),
    Subject(
        "pet",
        ("Rex", "Bella", "Bruno", "Luna", "Otto", "Milo"),
        says=(
            ("I have a dog called {0}.", "I have a dog named {0}."),
            ("My dog is called {0}.", "My dog's name is {0}."),
            (
                "We have a dog, {0}.",
                "We got a puppy named {0}.",
                "I own a dog called {0}.",
                "Our dog is called {0}.",
            ),
        ),
        then=((), (), ()),
        ends=(
            ("My dog {0} died.", "My dog {0} passed away."),
            ("My dog {0} died last week.", "My dog {0} passed away yesterday."),
            (
                "We lost our dog {0}.",
                "{0}, our dog, died.",
                "We had to put our dog {0} down.",
            ),
        ),
        asks=(
            ("What about my dog {0}?", "Do I have a dog called {0}?"),
            ("Is my dog {0} still there?",),
            (
                "Have I got a dog named {0}?",
                "Does my dog {0} still live?",
                "What became of my dog {0}?",
                "Is {0} still my dog?",
            ),
        ),
        topic="dog",
        keeps_value=True,
    ),
    Subject(
        "likes",
        ("olives", "chess", "jazz", "camping", "horror films", "karaoke", "anchovies", "gardening"),
        says=(
            ("I like {0}.", "I love {0}."),
            ("I really like {0}.", "I'm a big fan of {0}."),
            (
                "I enjoy {0} a lot.",
                "I'm really into {0}.",
                "I'm fond of {0}.",
                "I've always loved {0}.",
            ),
        ),
        then=((), (), ()),
        ends=(
            ("I don't like {0} anymore.", "I no longer like {0}."),
            ("I don't enjoy {0} any more.", "I no longer love {0}."),
            (
                "I'm not into {0} any more.",
                "I used to love {0}.",
                "I stopped liking {0}.",
                "I'm no longer fond of {0}.",
            ),
        ),
        asks=(
            ("Do I like {0}?", "What do I think of {0}?"),
            ("How do I feel about {0}?", "Am I fond of {0}?"),
            (
                "Do I enjoy {0}?",
                "Am I into {0}?",
                "Do I still like {0}?",
                "What is my opinion of {0}?",
            ),
        ),
        keeps_value=True,
    ),
    Subject(
        "home",
        PLACES,
        says=(
            ("My sister Clara lives in {0}.", "My sister Clara is based in {0}."),
            ("My sister Clara currently lives in {0}.", "My sister Clara is living in {0}."),
            (
                "My sister Clara resides in {0}.",
                "My sister Clara has lived in {0} for years.",
                "My sister Clara is in {0} these days.",
            ),
        ),
        then=(
            ("My sister Clara moved to {0}.", "My sister Clara lives in {0} now."),
            ("My sister Clara has moved to {0}.", "My sister Clara just moved to {0}."),
            (
                "My sister Clara relocated to {0}.",
                "My sister Clara has settled in {0}.",
                "My sister Clara moved to {0} for work.",
                "My sister Clara is living in {0} now.",
            ),
        ),
        asks=(
            ("Where does Clara live?", "Which city does my sister Clara live in?"),
            ("What town is Clara in now?", "Where is Clara's home?"),
            (
                "Where has my sister Clara moved?",
                "In which city does Clara live?",
                "Where does my sister live now?",
                "What city is Clara's home?",
            ),
        ),
        subject="Clara",
    ),
)
