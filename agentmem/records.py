"""The nouns: what goes in, what is kept, what comes back. All frozen, none does I/O.

Times are aware UTC datetimes. Scores are higher-is-nearer. Nothing here imports numpy or a database.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Literal, get_args

from agentmem.errors import InvalidInput

Kind = Literal["turn", "document", "fact", "rule", "identity", "lesson", "summary"]
Role = Literal["user", "assistant", "system", "tool"]
Integrity = Literal["operator", "user", "assistant", "tool", "web", "undeclared"]
ForgetMode = Literal["erase", "retire"]
ReceiptStatus = Literal["done", "pending", "dry_run"]
Polarity = Literal["affirmed", "denied", "ended"]
Label = Literal["outdated", "upcoming", "faded"]
IdentitySection = Literal["rules", "persona", "profile", "relationship", "preferences", "commitments"]
LoopState = Literal["open", "closed", "overdue"]
ContextSection = Literal["rules", "identity", "handover", "memories", "recent"]
MemoryStatus = Literal["ok", "off", "degraded", "spilled", "lost"]
"""How memory fared in a call of a wrapped client, from well to bad.

``ok``; ``off``: the call had no scope, so nothing was read or recorded; ``degraded``: the model was asked without all
that memory knows, or a turn is still being stored; ``spilled``: a turn lies in the spill file, and is stored from
there; ``lost``: a turn could not be kept.
"""

KINDS: Final[tuple[str, ...]] = get_args(Kind)
ROLES: Final[tuple[str, ...]] = get_args(Role)
INTEGRITIES: Final[tuple[str, ...]] = get_args(Integrity)
POLARITIES: Final[tuple[str, ...]] = get_args(Polarity)
IDENTITY_SECTIONS: Final[tuple[IdentitySection, ...]] = get_args(IdentitySection)
CONTEXT_SECTIONS: Final[tuple[ContextSection, ...]] = get_args(ContextSection)
TRUSTED: Final[frozenset[str]] = frozenset({"operator", "user", "assistant"})
STORED_KINDS: Final[frozenset[str]] = frozenset({"turn", "document", "rule", "lesson"})
"""The kinds that ``retrieve`` searches when ``kinds`` is unset: what callers stored themselves."""
NOTED: Final = "memory_tools"
"""The origin of what models note by memory tools: beside every conversation, a turn of none."""

MAX_CONTENT_BYTES: Final = 1 << 20
"""Longest content of one memory, in UTF-8 bytes; longer text is a Document, which is chunked."""
MAX_METADATA_BYTES: Final = 64 << 10
MAX_METADATA_DEPTH: Final = 32
MAX_ID_CHARACTERS: Final = 512
MAX_HOLD_REASON_CHARACTERS: Final = 500


class Unset(Enum):
    """The type of UNSET: an argument that was not given, where None means something."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET


# --- what goes in ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory. At least one of ``user`` and ``agent``; ids are opaque, non-empty strings.

    A user's scope (with or without an agent) reads that user's rows; an agent alone reads the
    agent's own layer and never a user's row. ``session`` is an address: it says where writes go,
    and never filters a read (to narrow: ``where={"session": …}``).

    Raises:
        InvalidInput: neither user nor agent, or an id that is empty, not a string, or not text.
    """

    user: str | None = None
    agent: str | None = None
    session: str | None = None
    tenant: str = "default"

    def __post_init__(self) -> None:
        if self.user is None and self.agent is None:
            raise InvalidInput(
                "A Scope needs a user or an agent.", hint='Write Scope(user="ana") or Scope(agent="coach").'
            )
        for name in ("user", "agent", "session", "tenant"):
            value = getattr(self, name)
            if value is None and name != "tenant":
                continue
            if not isinstance(value, str) or not value:
                raise InvalidInput(f"Scope.{name} must be a non-empty string, not {value!r}.")
            if len(value) > MAX_ID_CHARACTERS:
                raise InvalidInput(
                    f"Scope.{name} is {len(value)} characters long; at most {MAX_ID_CHARACTERS} are kept."
                )
            require_text(value, f"Scope.{name}")


@dataclass(frozen=True, slots=True)
class Affect:
    """How it felt: ``valence`` -1 (bad) to 1 (good), ``arousal`` 0 (calm) to 1 (stirred), a label in words."""

    valence: float = 0.0
    arousal: float = 0.0
    label: str | None = None

    def __post_init__(self) -> None:
        require_number(self.valence, "affect.valence", -1.0, 1.0)
        require_number(self.arousal, "affect.arousal", 0.0, 1.0)
        if self.label is not None:
            require_text(self.label, "affect.label")


@dataclass(frozen=True, slots=True)
class Fact:
    """What a ``fact`` memory states; the attributes there are stand in ``agentmem.extractors.attributes``.

    Args:
        subject: ``user``, a speaker's name, or a third person as named.
        value: Blank only where something ended and was not named ("I quit my job").
        polarity: ``denied`` = it is not so ("I don't eat meat"), ``ended`` = it is no longer so.
        topic: Tells apart what an attribute has several of: "color" of ``favourite``.
        span: The characters of the turn it was read from, end excluded; None if a caller stated it.
        superseded_by: Id of the fact whose value closed this one; ``Memory.valid_to`` says from when.
        restates: Id of the earlier fact that said the same; a restatement is folded into it.
        times: How often it was said, restatements included.

    The last three are worked out by the log's settling and not for callers to give.
    """

    subject: str
    attribute: str
    value: str
    polarity: Polarity = "affirmed"
    topic: str | None = None
    span: tuple[int, int] | None = None
    superseded_by: str | None = None
    restates: str | None = None
    times: int = 1

    def __post_init__(self) -> None:
        if self.polarity not in POLARITIES:
            raise InvalidInput(
                f"fact.polarity cannot be {self.polarity!r}.", hint=f"It takes: {', '.join(POLARITIES)}."
            )

    @property
    def key(self) -> tuple[str, str, str]:
        """Subject, attribute and topic, however written: what facts that may supersede each other share."""
        subject, attribute, topic = (
            " ".join(part.casefold().split()) for part in (self.subject, self.attribute, self.topic or "")
        )
        return subject, attribute, topic


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a ``lesson`` memory teaches: in such a situation this was done, and that came of it.

    Args:
        situation: When it applies: "the build fails for want of memory". New situations are matched with it.
        action: What was done: "halve the number of parallel jobs".
        outcome: What came of it, in words.
        result: How good that was, -1 (it failed: do not do that) to 1 (it worked). A failure is as good a lesson as a
            success; whether the lesson itself is any good is told by ``feedback`` and by other lessons.
    """

    situation: str
    action: str
    outcome: str
    result: float

    @property
    def words(self) -> str:
        """The lesson as one sentence, in which a situation that says "when" itself says it once."""
        situation = _WHEN.sub("", self.situation.strip())
        return f"When {_unstopped(situation)}: {_unstopped(self.action)}; outcome: {self.outcome}"

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


_WHEN: Final = re.compile(r"^(?:when(?:ever)?|if) (?=\S)", re.IGNORECASE)


def _unstopped(words: str) -> str:
    """The words without the full stop at their end: in a sentence others follow."""
    return re.sub(r"(?<=[^.\s])\.$", "", words)


@dataclass(frozen=True, slots=True)
class Turn:
    """One thing somebody said, verbatim.

    Args:
        content: The words, 1 byte to 1 MiB of UTF-8.
        role: Who said it to whom, as LLM APIs name it.
        speaker: The speaker's name, if there is one; searched together with the words.
        occurred_at: When it was said; aware. Unset = when it is stored.
        session: Overrides the session of the scope it is stored under.
        kind: ``turn``, ``rule``, ``lesson``, ``fact``, ``identity`` or ``summary``.
        metadata: JSON values under string keys, at most 64 KiB.
        importance: 0 (trivia) to 1 (vital).
        integrity: The declared author; unset = that of the role (a tool's words are untrusted).
        expires_at: From then on it is hidden, and purged by retention.
        idempotency_key: The same key twice in one scope stores one memory.
        derived_from: Ids of the memories it was made from.
        fact: What it states, for ``kind="fact"``: a new value then closes the old one. ``Turn.of_fact`` words it.
        valid_from: When it is true from in the world; unset = ``occurred_at``. valid_to: Until when; unset = open.
        origin: Where it was taken in from (a tool, an import), so that all of it can be forgotten together.
    """

    content: str
    role: Role = "user"
    speaker: str | None = None
    occurred_at: datetime | None = None
    session: str | None = None
    kind: Kind = "turn"
    metadata: Mapping[str, Any] | None = None
    importance: float | None = None
    affect: Affect | None = None
    integrity: Integrity | None = None
    expires_at: datetime | None = None
    idempotency_key: str | None = None
    derived_from: tuple[str, ...] = ()
    fact: Fact | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    origin: str | None = None

    @classmethod
    def of_fact(cls, fact: Fact, **details: Any) -> Turn:
        """A turn that states the fact, in the words of its attribute; ``details`` are other fields of a turn.

        >>> Turn.of_fact(Fact("user", "home", "Porto"), importance=0.9).content
        'The user lives in Porto.'

        Raises:
            InvalidInput: it says nothing, or what no store can hold.
        """
        from agentmem.extractors.sentences import sentence

        return cls(sentence(require_fact(fact)), kind="fact", fact=fact, **details)

    @classmethod
    def of_lesson(cls, lesson: Lesson, **details: Any) -> Turn:
        """A turn that tells the lesson, the agent's own words unless a role is given; ``details`` as for ``of_fact``.

        >>> lesson = Lesson("the build runs out of memory", "halve the parallel jobs", "it went through", 1.0)
        >>> Turn.of_lesson(lesson).content
        'When the build runs out of memory: halve the parallel jobs; outcome: it went through'

        Raises:
            InvalidInput: a part is missing, or what no store can hold.
        """
        lesson = require_lesson(lesson)
        metadata = {**require_metadata(details.pop("metadata", None)), "lesson": lesson.to_dict()}
        return cls(lesson.words, kind="lesson", metadata=metadata, **{"role": "assistant", **details})


@dataclass(frozen=True, slots=True)
class Document:
    """A text or Markdown document; stored as one ``document`` memory per chunk.

    Args:
        content: The whole text; no limit of its own.
        name: The file path, URL or title it is known by in its scope. Storing the same name
            again replaces what changed and keeps the ids of what did not.
        media_type: ``text/markdown`` (headings are structure) or ``text/plain``.
        integrity: The declared author; unset = ``operator``, because the caller's own code hands it
            in. Say ``web`` or ``tool`` for what was fetched: that is quarantined.
    """

    content: str
    name: str
    media_type: Literal["text/markdown", "text/plain"] = "text/markdown"
    occurred_at: datetime | None = None
    metadata: Mapping[str, Any] | None = None
    importance: float | None = None
    integrity: Integrity | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where in a document a chunk stands.

    ``start`` and ``end`` count characters of the document's text, end excluded; ``place`` is the
    chunk's number from 0.
    """

    name: str
    headings: tuple[str, ...]
    place: int
    start: int
    end: int


# --- what is kept ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Memory:
    """One version of one memory, as the log holds it.

    ``scope`` is the owner (its session is where it was said). ``position`` orders the turns of a
    session, ascending, with gaps. ``valid_from``/``valid_to`` speak of the world,
    ``recorded_from``/``recorded_to`` of the log; ``recorded_to`` is None for the current version and set on
    all versions of a retired memory. ``written_by`` says who made this version (``caller``, ``extractor:rules``,
    ``supersession``, …) and ``reason`` why, where one was given. ``origin`` is where it was taken in from: a document's
    name, an import's file, a tool.

    ``accesses`` (how often it was an answer) and ``outcome`` (-1 to 1, what ``feedback`` said of it) belong to the
    memory and not to a version: they change without one, and two reads of a version are equal whatever they say.
    """

    id: str
    version: int
    kind: Kind
    content: str
    scope: Scope
    role: Role
    speaker: str | None
    position: int
    occurred_at: datetime
    recorded_from: datetime
    recorded_to: datetime | None
    valid_from: datetime
    valid_to: datetime | None
    metadata: Mapping[str, Any]
    importance: float | None
    affect: Affect | None
    integrity: Integrity
    expires_at: datetime | None
    idempotency_key: str | None
    derived_from: tuple[str, ...]
    source: Source | None
    fact: Fact | None = None
    origin: str | None = None
    written_by: str = "caller"
    reason: str | None = None
    accesses: int = field(default=0, compare=False)
    outcome: float = field(default=0.0, compare=False)

    @property
    def trusted(self) -> bool:
        """True if its declared author is the operator, the user or the assistant."""
        return self.integrity in TRUSTED

    @property
    def is_said(self) -> bool:
        """True for a turn that was said in a conversation; what a model noted by memory tools was not."""
        return self.kind == "turn" and self.origin != NOTED

    @property
    def lesson(self) -> Lesson | None:
        """What it teaches, if it is a lesson that was told in parts."""
        return lesson_in(self.kind, self.metadata)

    def to_dict(self) -> dict[str, Any]:
        """The memory as JSON values; times in ISO 8601 with offset."""
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked memory on its way into the log: no defaults left to fill but id, version and place.

    Args:
        terms: The token bag as ``agentmem.retrieval.lexical.encode_bag`` writes it.
        vector: float16 bytes of a row of length 1, or None (no vector, or one that follows later).
        id: Given by imports, which keep ids; otherwise the log makes one.
    """

    content: str
    kind: Kind
    role: Role
    speaker: str | None
    session: str | None
    occurred_at: datetime
    metadata: Mapping[str, Any]
    importance: float | None
    affect: Affect | None
    integrity: Integrity
    expires_at: datetime | None
    idempotency_key: str | None
    derived_from: tuple[str, ...]
    source: Source | None
    terms: bytes
    length: int
    vector: bytes | None = None
    id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    fact: Fact | None = None
    origin: str | None = None
    written_by: str = "caller"
    reason: str | None = None


# --- what comes back ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that answers a question.

    Args:
        score: Orders this answer, higher is nearer; not comparable between questions.
        confidence: Calibrated probability that it is relevant, 0 to 1.
        signals: Each signal's share of the score, by name; filled when ``explain=True``.
        neighbours: The turns said just before and after it, oldest first, without itself.
        facts: Facts that were taken from it; those that no longer hold have a ``valid_to``.
        labels: ``outdated`` if a fact taken from it no longer holds, ``upcoming`` if it is true only from later on,
            ``faded`` if it is a lesson that turned out wrong.
        corrections: The facts that hold in place of its outdated ones.
        standing: Of a lesson: how far it can be relied on, 0 (it misled) to 1, .5 where nothing speaks for or against
            it; with ``faded`` among the labels, hardly at all.
    """

    memory: Memory
    score: float
    confidence: float
    signals: Mapping[str, float] = field(default_factory=dict)
    neighbours: tuple[Memory, ...] = ()
    facts: tuple[Memory, ...] = ()
    labels: tuple[Label, ...] = ()
    corrections: tuple[Memory, ...] = ()
    standing: float | None = None

    @property
    def id(self) -> str:
        return self.memory.id

    @property
    def content(self) -> str:
        return self.memory.content


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The answer to one question: hits, best first.

    Args:
        confidence: Calibrated probability that any hit is relevant, 0 to 1.
        hidden: What the question reached but was not shown, reason to count: ``superseded``,
            ``expired``, ``untrusted``, ``restated``, ``faded``.
        tokens: Tokens of the hits' contents; ``tokens_estimated`` when no exact counter was at hand.
        degraded: Why this answer is worse than it could be, and what mends it; None if it is not.
    """

    query: str
    hits: tuple[Hit, ...]
    confidence: float
    hidden: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    tokens_estimated: bool = False
    degraded: str | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, index: int) -> Hit:
        return self.hits[index]

    def render(self) -> str:
        """The hits as one fenced, escaped prompt block: restatements folded, oldest first."""
        from agentmem.context.rendering import render_hits

        return render_hits(self.hits).text

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class IdentityLine:
    """One thing that is known of who is who: a rule, a hand-written line, or a fact.

    Args:
        section: ``rules`` (standing instructions), ``persona`` (who the agent is), ``profile`` (who the person is),
            ``relationship`` (who they are to each other), ``preferences``, ``commitments`` (promises of either).
        memory: What it rests on: a ``rule``, ``identity`` or ``fact`` memory; ``why(line.id)`` shows the turns.
        state: Of commitments only.
        due: Of commitments: when it is due, where the words say so.
    """

    section: IdentitySection
    content: str
    memory: Memory
    state: LoopState | None = None
    due: datetime | None = None

    @property
    def id(self) -> str:
        return self.memory.id


@dataclass(frozen=True, slots=True)
class IdentityDiff:
    """What another identity says that the first did not, and the other way round; by the memories' ids.

    Args:
        changed: Pairs of a line then and now, where its words, section or state are not the same.
    """

    added: tuple[IdentityLine, ...] = ()
    removed: tuple[IdentityLine, ...] = ()
    changed: tuple[tuple[IdentityLine, IdentityLine], ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the agent is, who the person is, and what stands between them, at one moment.

    Args:
        lines: In the order of the sections; within one in the order they came to be known, so that what is new stands
            behind what was there. Commitments that are closed stand last.
        at: The moment it speaks of.
    """

    scope: Scope
    lines: tuple[IdentityLine, ...]
    at: datetime

    def section(self, name: IdentitySection) -> tuple[IdentityLine, ...]:
        """The lines of one section."""
        return tuple(line for line in self.lines if line.section == name)

    @property
    def loops(self) -> tuple[IdentityLine, ...]:
        """Commitments that are open or overdue."""
        return tuple(line for line in self.lines if line.state in ("open", "overdue"))

    def since(self, earlier: Identity) -> IdentityDiff:
        """What has changed since an earlier one."""
        then = {line.id: line for line in earlier.lines}
        now = {line.id: line for line in self.lines}

        def told(line: IdentityLine) -> tuple[object, ...]:
            return line.section, line.content, line.state

        return IdentityDiff(
            added=tuple(line for line in self.lines if line.id not in then),
            removed=tuple(line for line in earlier.lines if line.id not in now),
            changed=tuple(
                (then[line.id], line) for line in self.lines if line.id in then and told(then[line.id]) != told(line)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that had no room in a context: a memory, and which section it would have stood in."""

    id: str
    section: ContextSection
    tokens: int


@dataclass(frozen=True, slots=True)
class Context:
    """Text ready for a prompt: what an agent should have in mind to answer, within a budget.

    Args:
        stable: Rules, identity and hand-over: byte for byte the same from turn to turn while nothing in it changes, so
            that a provider's prompt cache hits. It goes in front of the user's first words. ``""`` = nothing to say.
        volatile: Memories, documents and recent turns for this question; it goes in front of the user's last words.
        tokens: Of both; never above the budget. ``tokens_estimated`` when no exact counter was at hand.
        citations: The id that each ``[m:…]`` stands for, by its short form.
        dropped: What had no room, least important first.
        min_integrity: The least trusted author of anything in it; None if it is empty. Gate tools by it.
        spent: Tokens by section; the first of a part has its tags too.
        told: Version of everything it rests on, by id: once one is gone or another, the text is out of date.
        stable_tokens, stable_told: The same of the stable part alone.
        confidence: That any of the memories is relevant, 0 to 1.
        degraded: Why it is worse than it could be; None if it is not.
        fences: Those of memory's own blocks, by which earlier ones are known in messages.
    """

    query: str
    stable: str
    volatile: str
    tokens: int
    tokens_estimated: bool = False
    citations: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[Dropped, ...] = ()
    min_integrity: Integrity | None = None
    spent: Mapping[str, int] = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    stable_tokens: int = 0
    stable_told: Mapping[str, int] = field(default_factory=dict)
    confidence: float = 0.0
    degraded: str | None = None
    fences: Container[str] = field(default=(), repr=False, compare=False)

    @property
    def text(self) -> str:
        """Both parts as one text."""
        return "\n\n".join(filter(None, (self.stable, self.volatile)))

    def __str__(self) -> str:
        return self.text

    def openai(self, messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The messages of a chat completion with both parts in place: in front of the user's first and last words.

        No message is added, the list that is given is not changed, and blocks of an earlier call are taken out. If the
        user said nothing there is no place, and the messages come back as they are.
        """
        from agentmem.context.placing import for_user

        return for_user(messages, stable=self.stable, volatile=self.volatile, ours=self.fences)

    def responses(self, input: str | Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The input of OpenAI's Responses API, a text or items, with both parts in place; else as ``openai``."""
        from agentmem.context.placing import for_user

        items = [{"role": "user", "content": input}] if isinstance(input, str) else input
        return for_user(items, stable=self.stable, volatile=self.volatile, ours=self.fences, part_type="input_text")

    def anthropic(self, messages: Sequence[Mapping[str, Any]], *, cache: bool = False) -> list[Mapping[str, Any]]:
        """The messages of Anthropic's API with both parts in place; else as ``openai``.

        Args:
            cache: Mark the stable part with ``cache_control``, so that calls that begin alike are read from the cache.
        """
        from agentmem.context.placing import for_user

        mark = {"cache_control": {"type": "ephemeral"}} if cache else None
        return for_user(messages, stable=self.stable, volatile=self.volatile, ours=self.fences, mark=mark)

    def to_dict(self) -> dict[str, Any]:
        return {name: value for name, value in _as_object(self).items() if name != "fences"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What memory took of one call of a wrapped client, or of many together.

    Args:
        calls: Calls of the client.
        tokens: Tokens put into prompts. ``stable_tokens``: those of them in the stable part, which caches spare.
        waited_s: Seconds that calls were held up by memory, before the model was asked and after it answered.
        llm_calls, llm_tokens: What memory itself asked models (extraction, compression), and tokens both ways.
        statuses: How often memory fared how.
    """

    calls: int = 0
    tokens: int = 0
    stable_tokens: int = 0
    waited_s: float = 0.0
    llm_calls: int = 0
    llm_tokens: int = 0
    statuses: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.calls + other.calls,
            self.tokens + other.tokens,
            self.stable_tokens + other.stable_tokens,
            self.waited_s + other.waited_s,
            self.llm_calls + other.llm_calls,
            self.llm_tokens + other.llm_tokens,
            dict(Counter(self.statuses) + Counter(other.statuses)),
        )

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Page:
    """Some memories in a stable order and the cursor that continues after them (None at the end)."""

    items: tuple[Memory, ...]
    cursor: str | None = None

    def __iter__(self) -> Iterator[Memory]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What ``forget`` did, without the content.

    Args:
        status: ``done`` when every step is carried out, ``pending`` while one is left (see
            ``remaining``), ``dry_run`` when nothing was touched.
        memories: How many memories were (or would be) forgotten.
        rows: Rows removed by table.
        remaining: What still has to be done, in words, and by whom.
        verified: Whether all was looked for afterwards, everywhere, and not found; None = not looked for, or not all
            of it or not everywhere (see ``checks``).
        checks: What was looked at for ``verify=True``, and what was seen, in words.
        similar: Ids of the scope's memories that still say the same (in metadata too) or nearly; the caller judges.
        requested_by: Who asked, where the caller said so.
        subject: Keyed hash of whose memory it was, so that a receipt can be found again without naming anyone.
        previous_hash, hash: The chain of the tenant's receipts; ``verify()`` checks it.
    """

    id: str
    status: ReceiptStatus
    mode: ForgetMode
    requested_at: datetime
    done_at: datetime | None
    memories: int
    rows: Mapping[str, int] = field(default_factory=dict)
    remaining: tuple[str, ...] = ()
    verified: bool | None = None
    reason: str | None = None
    checks: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    requested_by: str | None = None
    subject: str | None = None
    previous_hash: str | None = None
    hash: str | None = None

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold: nothing of this scope is erased until it is released. It freezes, and shows nothing.

    Several may stand on one scope, told apart by their reasons.
    """

    scope: Scope
    reason: str
    placed_at: datetime

    def __post_init__(self) -> None:
        if not require_text(self.reason, "reason").strip():
            raise InvalidInput("A hold needs a reason.", hint="Such as: case 4711.")
        if len(self.reason) > MAX_HOLD_REASON_CHARACTERS:
            raise InvalidInput(
                f"The reason of a hold is longer than {MAX_HOLD_REASON_CHARACTERS} characters.",
                hint="Name the case, and keep what is to be said of it elsewhere.",
            )

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Change:
    """One memory that is not as it was: ``before`` is None for a new one, ``after`` None for one that was retired."""

    before: Memory | None
    after: Memory | None


@dataclass(frozen=True, slots=True)
class Diff:
    """What the log learned between two moments of its own time.

    Args:
        added: Memories that were new. changed: Those with a new version. retired: Those that were hidden.
        ended: Changes that closed a memory's validity in the world, superseded facts foremost; also in ``changed``.
        erased: How many memories were erased in between; what they were is not known any more.
    """

    added: tuple[Memory, ...] = ()
    changed: tuple[Change, ...] = ()
    retired: tuple[Memory, ...] = ()
    ended: tuple[Change, ...] = ()
    erased: int = 0

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing ``verify`` looked at: whether it holds, what was seen, and what mends it."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """What ``verify`` found; ``ok`` if every finding holds. ``repaired`` names what ``repair`` mended."""

    findings: tuple[Finding, ...]
    repaired: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {"ok": self.ok, **_as_object(self)}


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts over the whole store: no content, no ids.

    Args:
        memories: Current memories by kind.
        versions: Version rows, history included.
        partitions: Distinct (tenant, user, agent) layers.
        vectors: Current memories that have a vector of the current generation.
        waiting: Current memories whose vector is still to come.
        bytes_on_disk: Size of the log's files; None where it cannot be known.
        cache_bytes: Memory held by the partition cache of this process.
        cost: What wrapped clients and memory's own model calls took since this manager was opened.
    """

    memories: Mapping[str, int]
    versions: int
    partitions: int
    vectors: int
    waiting: int
    bytes_on_disk: int | None
    cache_bytes: int
    embedder: str
    degraded: str | None = None
    cost: Cost = Cost()

    def to_dict(self) -> dict[str, Any]:
        return _as_object(self)


# --- checks shared by every noun ------------------------------------------------------------------


def require_text(value: object, name: str) -> str:
    """The string itself, if every store can hold it.

    Raises:
        InvalidInput: not a string, a NUL (PostgreSQL cannot hold it) or a lone surrogate (no UTF-8).
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a string, not {type(value).__name__}.")
    nul = value.find("\x00")
    if nul >= 0:
        raise InvalidInput(f"{name} holds a NUL character at {nul}.", hint="Remove it or replace it by a space.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"{name} holds a lone surrogate at {error.start}, which is not text.",
            hint="Decode the bytes with errors='replace' first.",
        ) from None
    return value


def require_number(value: object, name: str, low: float, high: float) -> float:
    """The number as a float, if it lies in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidInput(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")
    return float(value)


def require_time(value: object, name: str) -> datetime:
    """The time in UTC.

    Raises:
        InvalidInput: not a datetime, or a naive one: guessing its zone would misdate the memory.
    """
    if not isinstance(value, datetime):
        raise InvalidInput(f"{name} must be an aware datetime, not {type(value).__name__}.")
    if value.tzinfo is None:
        raise InvalidInput(
            f"{name} is naive: {value.isoformat()} could be any zone.", hint="Add one: .replace(tzinfo=UTC)."
        )
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"{name} is outside the years 1 to 9999 once it is in UTC: {value!r}.") from None


def require_fact(value: object) -> Fact:
    """The fact, without what is for settling to work out.

    Raises:
        InvalidInput: not a Fact, a part that is missing or that no store can hold, an unknown polarity.
    """
    if not isinstance(value, Fact):
        raise InvalidInput(f"fact must be a Fact, not {type(value).__name__}.")
    for name in ("subject", "attribute", "topic"):
        text = getattr(value, name)
        if text is None and name == "topic":
            continue
        if not 1 <= len(require_text(text, f"fact.{name}")) <= MAX_ID_CHARACTERS:
            raise InvalidInput(f"fact.{name} must have 1 to {MAX_ID_CHARACTERS} characters, not {len(text)}.")
    if not require_text(value.value, "fact.value").strip() and value.polarity != "ended":
        raise InvalidInput("fact.value is blank.", hint='Only what "ended" may leave it out.')
    return replace(value, superseded_by=None, restates=None, times=1)


def require_lesson(value: object, place: str = "lesson") -> Lesson:
    """The lesson, checked; a mapping of its parts is one too.

    Raises:
        InvalidInput: naming the part that is missing, blank, unknown or no number from -1 to 1.
    """
    parts = _as_object(value) if isinstance(value, Lesson) else value
    names = [part.name for part in fields(Lesson)]
    if not isinstance(parts, Mapping) or set(parts) != set(names):
        found = f"a mapping of {', '.join(map(str, parts))}" if isinstance(parts, Mapping) else type(value).__name__
        raise InvalidInput(f"{place} takes {', '.join(names)}; not {found}.")
    for name in names[:-1]:
        if not require_text(parts[name], f"{place}.{name}").strip():
            raise InvalidInput(f"{place}.{name} is blank.", hint="Say it in a few words: it is what teaches.")
    result = require_number(parts["result"], f"{place}.result", -1.0, 1.0)
    return Lesson(parts["situation"], parts["action"], parts["outcome"], result)


def lesson_in(kind: str, metadata: Mapping[str, Any]) -> Lesson | None:
    """The lesson that a memory of this kind has in its metadata; None where there is none, or none that is whole."""
    if kind != "lesson" or "lesson" not in metadata:
        return None
    try:
        return require_lesson(metadata["lesson"])
    except InvalidInput:
        return None


def require_metadata(value: object) -> dict[str, Any]:
    """A copy of the metadata, if JSON can carry it unchanged."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"metadata must be a mapping, not {type(value).__name__}.")
    copy: dict[str, Any] = _json_value(value, "metadata", MAX_METADATA_DEPTH)
    size = len(json.dumps(copy, ensure_ascii=False).encode("utf-8"))
    if size > MAX_METADATA_BYTES:
        raise InvalidInput(f"metadata is {size:,} bytes; at most {MAX_METADATA_BYTES:,} are kept.")
    return copy


def _json_value(value: object, place: str, depth: int) -> Any:
    if depth == 0:
        raise InvalidInput(f"{place} is nested deeper than {MAX_METADATA_DEPTH} levels.")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return require_text(value, place)
    if isinstance(value, int):
        if abs(value) >= 1 << 63:
            raise InvalidInput(f"{place} is an integer of more than 64 bits.", hint="Store it as a string.")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidInput(f"{place} is {value!r}, which JSON cannot carry.")
        return value
    if isinstance(value, Mapping):
        copied: dict[str, Any] = {}
        for key, item in value.items():
            require_text(key, f"a key of {place}")
            copied[key] = _json_value(item, f"{place}.{key}", depth - 1)
        return copied
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [_json_value(item, f"{place}[{place_}]", depth - 1) for place_, item in enumerate(value)]
    raise InvalidInput(
        f"{place} is a {type(value).__name__}, which JSON cannot carry.",
        hint="Use strings, numbers, booleans, None, lists and mappings; times as ISO strings.",
    )


def _as_object(record: Any) -> dict[str, Any]:
    return {item.name: as_json(getattr(record, item.name)) for item in fields(record)}


def as_json(value: Any) -> Any:
    """Dataclasses, tuples, mappings and times as JSON values."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [as_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return _as_object(value)
    return value
