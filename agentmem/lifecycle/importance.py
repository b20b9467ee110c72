"""How much a memory matters, by a stated rule: what it is, plus what it discloses, minus what is small talk.

1. Its kind: .8 for a rule or an identity, .6 a lesson, .55 a fact, .5 a document or summary, .35 a turn of the user,
   .25 another turn.
2. What people tell of their own lives ("I", "my", "we") adds, each matter once: .15 for health, family, names,
   decisions and promises, .1 for home, work and plans, .05 for a date or number; at most .35 together, and
   half of it in another role than the user's.
3. Strong affect adds up to .15.
4. The user's "please remember", "important: …", "don't forget that I …" lift it to .85 at least.
5. A question loses .1, a fragment of less than four words .15; a turn that only greets, thanks or agrees is .05.

English, as affect is; what is said in another language gets what its kind gets.
"""

from __future__ import annotations

import re
from typing import Final

from agentmem.records import Affect

MAX_CHARACTERS: Final = 2_000
"""What lies behind is not read."""


def importance_of(content: str, *, kind: str, role: str, affect: Affect | None) -> float:
    """How much it matters, 0 (trivia) to 1 (vital), to two decimals. Pure; never raises."""
    if len(content) > MAX_CHARACTERS:
        content = content[:MAX_CHARACTERS]
    words = _WORD.findall(content.lower().replace("’", "'"))
    known = {_MATTERS[word] for word in words if word in _MATTERS}
    own = role == "user"
    importance = _KINDS.get(kind, 0.35) if kind != "turn" or own else 0.25
    if kind == "turn":
        if len(words) <= 8 and words and _SMALL_TALK.issuperset(words):
            return 0.05
        if len(words) < 4 and not known - {"own"}:
            importance -= 0.15
        if content.endswith("?"):
            importance -= 0.1
    if "own" in known:
        if _DIGIT.search(content):
            known.add("number")
        told = min(0.35, sum(_WEIGHTS[matter] for matter in known))
        importance += told if own else told / 2
    if affect is not None:
        importance += 0.15 * abs(affect.valence) * (0.5 + affect.arousal / 2)
    if own and "ask" in known and (_ASKED.search(content) or ("own" in known and _ASKED_OF_OWN.search(content))):
        importance = max(importance, 0.85)
    return round(min(1.0, max(0.0, importance)), 2)


_KINDS: Final = {
    "rule": 0.8, "identity": 0.8, "lesson": 0.6, "fact": 0.55, "document": 0.5, "summary": 0.5, "turn": 0.35
}  # fmt: skip
_WORD: Final = re.compile(r"[a-z][a-z']*")
_DIGIT: Final = re.compile(r"\d")
_ASKED: Final = re.compile(
    r"\bplease (?:remember|note|keep in mind|don't forget|do not forget)\b"
    r"|(?:^|[.!?,;:\n] |\band |\balso )(?:remember(?: this\b|:)|important:|(?:make|take) (?:a )?note\b"
    r"|write (?:this|that) down\b)"
    r"|\bfor future reference\b",
    re.IGNORECASE,
)
_ASKED_OF_OWN: Final = re.compile(
    r"(?:^|[.!?,;:\n] |\band |\balso |\bbut )(?:remember (?:that|my|i|i'm|to)\b"
    r"|(?:don't|dont|do not) (?:ever )?forget\b"
    r"|keep (?:this |that |it )?in mind\b|(?:this|that|it)(?:'s| is) (?:very |really |so |super )?important[.!,])",
    re.IGNORECASE,
)
_WEIGHTS: Final = {
    "own": 0.0, "ask": 0.0, "health": 0.15, "family": 0.15, "name": 0.15, "decision": 0.15,
    "life": 0.1, "plan": 0.1, "number": 0.05,
}  # fmt: skip
_GROUPS: Final = {
    "own": "i i'm im i've ive i'd i'll me my mine we we're we've we'll our ours us",
    "ask": "remember forget important mind note reference write",
    "health": (
        "allergic allergy allergies intolerant diagnosed diagnosis disease illness cancer diabetes diabetic asthma "
        "epilepsy depression anxiety adhd autism autistic medication medicine pills insulin surgery operation hospital "
        "therapy therapist doctor pregnant pregnancy disability wheelchair migraine migraines vegan vegetarian coeliac "
        "celiac injury injured sober chemo chemotherapy arthritis"
    ),
    "family": (
        "wife husband partner girlfriend boyfriend fiance fiancee spouse son daughter sons daughters kid kids child "
        "children baby twins mother father mom mum dad parents brother brothers sister sisters grandma grandpa "
        "grandmother grandfather grandparents aunt uncle niece nephew cousin stepson stepdaughter divorce divorced "
        "married marry wedding widowed engaged funeral dog cat puppy kitten"
    ),
    "name": "name named nickname surname birthday born",
    "decision": (
        "decided decision promise promised promises agreed committed swear vow quit resigned resign accepted signed "
        "chose chosen choose hired fired retired graduated"
    ),
    "life": (
        "live lived living moved moving home house flat apartment job work boss career company studying study "
        "university college degree school salary mortgage rent bought sold owe loan phone address"
    ),
    "plan": (
        "plan plans planning deadline appointment appointments interview exam flight trip booked scheduled "
        "goal goals saving tomorrow reminder starting launch"
    ),
    "number": (
        "january february april june july august september october november december monday tuesday wednesday thursday "
        "friday saturday sunday"
    ),
}
_MATTERS: Final = {word: matter for matter, words in _GROUPS.items() for word in words.split()}
_SMALL_TALK: Final = frozenset(
    word
    for words in (
        "hi hello hey hiya yo morning evening night good bye goodbye see ya you later soon cheers thanks thank thx ty",
        "so much a lot ok okay k yes yeah yep yup no nope sure right cool nice great awesome perfect lol haha hahaha",
        "hmm oh ah wow fine alright got it noted understood exactly totally agreed indeed true that's that is this",
        "sounds how are what's up welcome you're very sorry please there again too and same here well done gotcha",
        "absolutely definitely take care have day for the u np problem worries in",
    )
    for word in words.split()
)
