"""MemoryManager: store, retrieve, update, forget. Read top-down, this is the story of one memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Self, TypeVar
from urllib.parse import quote
from weakref import WeakSet

from agentmem.clients.core import WrapOptions
from agentmem.clients.spill import Spill
from agentmem.clock import Clock, utc_now
from agentmem.context.builder import ContextBuilder, ContextOptions, ContextQuery
from agentmem.context.identity import Identities
from agentmem.embedders.generations import Generations
from agentmem.errors import ConfigError, InvalidInput, ManagerClosed, MemoryNotFound, ScopeError, unknown_memory
from agentmem.interfaces import (
    LLM,
    Compressor,
    Embedder,
    EpisodicLog,
    Extractor,
    LogQuery,
    Message,
    Reranker,
    Revision,
    TokenCounter,
    Use,
    VectorStore,
)
from agentmem.ledger import CountedLLM, Ledger
from agentmem.lifecycle.changes import difference
from agentmem.lifecycle.compressing import Recipe, Resummarising, Summarising
from agentmem.lifecycle.compression_rules import LEVELS, SUMMARY_TOKENS, CompressionRules, Level
from agentmem.lifecycle.drafting import embed_one, meant
from agentmem.lifecycle.extraction import Extraction
from agentmem.lifecycle.forgetting import Forgetter
from agentmem.lifecycle.handover import LEVEL, HandOvers
from agentmem.lifecycle.indexing import Indexer
from agentmem.lifecycle.jobs import Jobs, Worker
from agentmem.lifecycle.retention import Retention, RetentionRule, Sweeper
from agentmem.lifecycle.revising import checked_reason, revision_of
from agentmem.lifecycle.rolling import Rolling
from agentmem.lifecycle.settling import Settling
from agentmem.lifecycle.storing import Storing
from agentmem.records import (
    UNSET,
    Affect,
    Context,
    Diff,
    Document,
    Draft,
    Finding,
    ForgetMode,
    Health,
    Hit,
    Hold,
    Identity,
    IdentityLine,
    IdentitySection,
    Integrity,
    Kind,
    Memory,
    Page,
    Receipt,
    Retrieval,
    Role,
    Scope,
    Stats,
    Turn,
    Unset,
    require_number,
    require_text,
    require_time,
)
from agentmem.registry import build, did_you_mean, options_of
from agentmem.retrieval.listing import matching, page_of
from agentmem.retrieval.pipeline import RetrievalOptions, Retriever
from agentmem.retrieval.question import Question, checked_conversation, checked_kinds
from agentmem.retrieval.sittings import Sittings
from agentmem.retrieval.survey import Survey
from agentmem.retrieval.uses import Uses
from agentmem.vectors.exact import ExactVectors

if TYPE_CHECKING:
    from agentmem.bound import BoundMemory
    from agentmem.clients import Bridge
    from agentmem.clients.tools import MemoryTools
    from agentmem.config import Config
    from agentmem.portability import ImportReport

Client = TypeVar("Client")
P = ParamSpec("P")
R = TypeVar("R")
Spec = str | Mapping[str, Any]
"""A backend by name, or ``{"type": name, **its options}``."""


class MemoryManager:
    """A memory over one log: the verbs, for any number of scopes and threads.

    Backends are instances, registered names, ``module:Class``, or mappings with a ``type``. What the manager
    builds from a name it also closes; what it is given stays open.

    Args:
        log: The truth; ``SQLLog`` for SQLite and PostgreSQL.
        vectors: Where nearest vectors are found; unset = ``exact``, in this process.
        embedder: Text to vectors; None searches by words only.
        extractor: Turns to facts, behind the log; unset = ``rules``, which need no model; None extracts nothing.
        compressor: For ``compress``.
        llm: For what is optional; nothing on the write path ever calls it.
        reranker: A second look at the best hits, blended in.
        tokens: Counts tokens; unset = tiktoken where its encoding is at hand, else an estimate.
        retrieval: Weights and switches of the ranking.
        retention: How long memories are kept; of several rules the first that matches decides.
        compression: When sessions are compressed without being asked to; unset = never.
        wrapping: How much a wrapped client may take of a call.
        context: What ``context`` puts into a prompt, and how much of it.
        required_ids: Of ``user``, ``agent`` and ``session``, those that every scope must name.
        clock: Gives the present; for tests.
    """

    def __init__(
        self,
        log: EpisodicLog | Spec,
        *,
        vectors: VectorStore | Spec | None = None,
        embedder: Embedder | Spec | None = "static",
        extractor: Extractor | Spec | None = "rules",
        compressor: Compressor | Spec = "extractive",
        llm: LLM | Spec | None = None,
        reranker: Reranker | Spec | None = None,
        tokens: TokenCounter | Spec | None = None,
        retrieval: RetrievalOptions | None = None,
        retention: Sequence[RetentionRule] = (),
        compression: CompressionRules | None = None,
        wrapping: WrapOptions | None = None,
        context: ContextOptions | None = None,
        required_ids: frozenset[str] = frozenset(),
        clock: Clock = utc_now,
    ) -> None:
        self._closed = False
        self._owned: list[Any] = []
        self._clock = clock
        self._required_ids = required_ids
        self._wrapping = wrapping or WrapOptions()
        self._ledger = Ledger()
        try:
            self._log: EpisodicLog = self._backend("log", log)
            self._vectors: VectorStore = self._backend("vectors", "exact" if vectors is None else vectors)
            if self._log.is_sealed and self._wrapping.spill:
                raise ConfigError(
                    "A sealed log goes without spill files, which lie in the clear.", hint="Leave `wrap: spill` out."
                )
            if self._log.is_sealed and not isinstance(self._vectors, ExactVectors):
                raise ConfigError(
                    "A sealed log goes with exact vectors only: another store would keep them in the clear.",
                    hint="Leave `vectors` out.",
                )
            self._embedder: Embedder | None = self._backend("embedder", embedder)
            self._llm: LLM | None = self._backend("llm", llm)
            counted = CountedLLM(self._llm, self._ledger) if self._llm is not None else None
            self._extractor: Extractor | None = self._backend("extractor", extractor, llm=counted)
            self._tokens: TokenCounter = self._backend("tokens", tokens) or _default_counter()
            self._generations = Generations(self._log, self._embedder)
            self._retention = Retention(tuple(retention), clock)
            options = retrieval or RetrievalOptions()
            self._uses = Uses(self._log)
            self._retriever = Retriever(
                self._log,
                embedder=self._embedder,
                vectors=self._vectors,
                tokens=self._tokens,
                reranker=self._backend("reranker", reranker),
                options=options,
                clock=clock,
                generations=self._generations,
                outlived=self._retention.outlived,
                uses=self._uses if options.count_accesses else None,
            )
            self._survey = Survey(self._log, self._retriever)
            self._identities = Identities(self._survey, clock=clock)
        except BaseException:
            self._close_owned()
            self._closed = True
            raise
        # The jobs know the log and each other, not the manager, which nobody else may keep alive.
        self._storing = Storing(
            self._log, embedder=self._embedder, generations=self._generations, tokens=self._tokens, clock=clock
        )
        self._spill = Spill(
            self._wrapping.spill_folder or self._log.spill_folder,
            store=partial(_store_turns, self._storing),
            clock=clock,
        )
        self._forgetter = Forgetter(self._log, vectors=self._vectors, spill=self._spill, clock=clock)
        self._summarising = Summarising(
            self._log,
            compressor=partial(
                _built, "compressor", compressor, clock=clock, llm=counted, tokens=self._tokens, owned=self._owned
            ),
            store=self._storing.store_turn,
            readable=self._retention.readable,
        )
        self._indexer = Indexer(
            self._log, embedder=self._embedder, vectors=self._vectors, clock=clock, generations=self._generations
        )
        self._extraction = Extraction(self._log, extractor=self._extractor, store=self._storing.store)
        self._settling = Settling(self._log)
        self._handovers = HandOvers(
            self._log,
            sittings=Sittings(self._retriever, clock=clock),
            summaries=self._summarising.summaries,
            counter=self._tokens,
            clock=clock,
        )
        self._contexts = ContextBuilder(
            retriever=self._retriever,
            identities=self._identities,
            handovers=self._handovers,
            survey=self._survey,
            counter=self._tokens,
            options=context or ContextOptions(),
            clock=clock,
            fence_key=self._log.fence_key(),
        )
        makers = {**self._summarising.makers, LEVEL: self._handovers.again}
        self._resummarising = Resummarising(self._log, makers=makers)
        self._sweeper = Sweeper(
            self._log,
            rules=self._retention.rules,
            erase=self._forgetter.expire,
            compress=self._summarising.of_scope,
            clock=clock,
        )
        self._rolling = Rolling(
            self._log,
            rules=compression or CompressionRules(),
            summarising=self._summarising,
            count=self._tokens.count,
            clock=clock,
        )
        # What leaves work for those behind them.
        before = (self._spill, self._forgetter, self._extraction, self._sweeper)
        summing_up = (self._rolling, self._resummarising)
        self._worker = Worker(Jobs(*before, self._settling, *summing_up, self._indexer, self._uses))
        self._spill.wake = self._worker.wake
        with suppress(Exception):  # what cannot be stored now waits on, and the worker tries again
            self._spill.replay()
        if self._forgetter.look() or self._spill.look():
            self._worker.wake()  # a forget that was cut short goes on
        self._bridges: WeakSet[Bridge] = WeakSet()

    @classmethod
    def open(cls, place: str | os.PathLike[str] = "./memory", **options: Any) -> Self:
        """A memory in one folder (made if it is missing), or in the database of a URL.

        Args:
            place: A folder, ``sqlite:///…`` or ``postgresql+psycopg://…``.
            options: As for the constructor; and of ``SQLLog`` ``tombstone_key_file``, ``journal_file`` and
                ``accept_missing_journal``.

        Raises:
            ConfigError: an option that neither takes; the journal or the key that the log needs is gone.
        """
        of_log, backends = _sorted_options(cls, options)
        if "://" in str(place):
            url = str(place)
        else:
            url = f"sqlite:///{quote(str(_made_folder(place).absolute() / 'agentmem.db'))}"
        return cls({"type": "sql", "url": url, **of_log}, **backends)

    @classmethod
    def restore_from(
        cls, backup: str | os.PathLike[str], place: str | os.PathLike[str] = "./memory", **options: Any
    ) -> Self:
        """The memory of a ``backup``, put in the place of the one in a folder, without what was forgotten since.

        What was stored since the backup is lost. Close every manager of that folder before.

        Args:
            options: As for ``open``.

        Raises:
            ConfigError: the journal of what was forgotten, or the key, is missing: nothing was restored.
            StoreBusy: somebody has the memory open. BackendError: there is no such backup, or it is damaged.
        """
        from agentmem.log.backup import restore_backup

        of_log, _ = _sorted_options(cls, options)
        restore_backup(_require_path(backup), _made_folder(place) / "agentmem.db", **of_log)
        return cls.open(place, **options)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """The memory that a YAML file describes; unset = $AGENTMEM_CONFIG, then ./agentmem.yaml.

        Raises:
            ConfigError: naming the file, the place in it, and what it takes.
        """
        from agentmem import config

        return cls._from_config(config.load(path))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """The memory that a mapping in YAML's layout describes."""
        from agentmem import config

        return cls._from_config(config.from_mapping(mapping))

    @property
    def log(self) -> EpisodicLog:
        """The truth behind the verbs, for imports and upkeep."""
        self._require_open()
        return self._log

    @property
    def llm(self) -> LLM | None:
        """The language model that was configured, for programs and compressors to use; no verb calls it."""
        return self._llm

    # --- store ------------------------------------------------------------------------------------

    def store(
        self,
        content: str | Turn | Document,
        /,
        *,
        scope: Scope,
        kind: Kind = "turn",
        role: Role = "user",
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        importance: float | None = None,
        affect: Affect | None = None,
        integrity: Integrity | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Memory:
        """The memory, stored durably and findable from now on.

        Args:
            content: The words; or a Turn or Document that carries the other arguments itself. Of a Document
                every chunk is stored and the first one returned; ``store_many`` returns them all.
            kind: See Turn, which documents every argument.
            idempotency_key: The same key twice in one scope stores one memory; without one, saying the same
                thing twice is two turns.

        Raises:
            InvalidInput, ScopeError, IdempotencyConflict, StoreBusy, StoreFull: nothing was written.
        """
        details: dict[str, Any] = {
            "kind": kind,
            "role": role,
            "speaker": speaker,
            "occurred_at": occurred_at,
            "metadata": metadata,
            "importance": importance,
            "affect": affect,
            "integrity": integrity,
            "expires_at": expires_at,
            "idempotency_key": idempotency_key,
        }
        if isinstance(content, str):
            content = Turn(content, **details)
        elif details != _TURN_DEFAULTS:
            given = sorted(name for name, value in details.items() if value != _TURN_DEFAULTS[name])
            raise InvalidInput(
                f"store() got {', '.join(given)} beside a {type(content).__name__}.", hint="Set them on it instead."
            )
        if isinstance(content, Document) and isinstance(content.content, str) and not content.content.strip():
            raise InvalidInput("content is blank.", hint="store_many() takes a blank Document, and removes its chunks.")
        return self._append([content], scope)[0]

    def store_many(
        self, items: Iterable[Turn | Document | str | Mapping[str, Any]], /, *, scope: Scope
    ) -> Sequence[Memory]:
        """The memories of all the items, in their order, stored in one transaction: all or none.

        A mapping holds the fields of a Turn (``role`` and ``content`` as LLM APIs name them), or of a Document
        if it has a ``name``.
        """
        return self._append(items, scope)

    def drafts(self, items: Iterable[Turn | Document], /, *, scope: Scope) -> Sequence[Draft]:
        """The drafts that ``store_many`` would store, checked, for an import to give them ids of its own."""
        self._require(scope)
        return self._storing.prepare(items, scope).drafts

    def store_drafts(self, drafts: Sequence[Draft], /, *, scope: Scope) -> Sequence[Memory]:
        """The memories of drafts that keep their ids and times: the door of imports and copies.

        Drafts without a token bag are checked and get one; vectors are made here.
        """
        self._require(scope)
        return self._write(scope, drafts, frozenset())

    # --- retrieve ---------------------------------------------------------------------------------

    def retrieve(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        k: int | None = None,
        max_tokens: int | None = None,
        min_confidence: float | None = None,
        kinds: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        conversation: Sequence[Message | Mapping[str, Any]] = (),
        include_untrusted: bool = False,
        explain: bool = False,
    ) -> Retrieval:
        """The memories that answer the query, best first.

        Args:
            query: A question, or any text to find memories for.
            k: At most so many hits. Unset together with ``max_tokens`` = 10.
            max_tokens: The best hits whose contents together cost at most so many tokens.
            min_confidence: Only hits of at least this probability to be relevant, 0 to 1.
            kinds: Only these; unset = turn, document, rule and lesson.
            where: Applied before the best are chosen; the grammar is in ``agentmem.where``.
            as_of: What was true in the world then. known_at: What the log held then.
            conversation: The messages just before, which tell what "it" means.
            include_untrusted: Also what tools, web pages and undeclared authors said.
            explain: Fill ``Hit.signals`` with each signal's share of the score.
        """
        self._require(scope)
        question = Question(
            query=query,
            scope=scope,
            k=k,
            max_tokens=max_tokens,
            min_confidence=min_confidence,
            kinds=checked_kinds(kinds),
            where=where,
            as_of=as_of,
            known_at=known_at,
            conversation=checked_conversation(conversation),
            include_untrusted=include_untrusted,
            explain=explain,
        )
        answer = self._retriever.retrieve(question)
        self._wake_if_needed()
        return answer

    def context(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        max_tokens: int | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        conversation: Sequence[Message | Mapping[str, Any]] = (),
        present: Iterable[str] = (),
        include_untrusted: bool = False,
    ) -> Context:
        """What an agent should have in mind to answer, as text for its prompt: rules, identity, what the last session
        left, memories, the last turns.

        Args:
            query: The user's last words; "" before any were said.
            max_tokens: Of all of it; unset = that of the options. ``Context.dropped`` names what had no room.
            as_of: As things stood in the world then. known_at: As the log knew it then.
            conversation: The messages just before. The prompt holds them, so they do not come again.
            present: What else the prompt holds already.
            include_untrusted: Also what tools, web pages and unknown authors said, in a block apart.

        Raises:
            InvalidInput: ``max_tokens`` cannot hold even an empty block.
        """
        self._require(scope)
        wanted = ContextQuery(
            query,
            scope,
            max_tokens=max_tokens,
            as_of=as_of,
            known_at=known_at,
            conversation=checked_conversation(conversation),
            present=present,
            include_untrusted=include_untrusted,
        )
        context = self._contexts.build(wanted)
        self._wake_if_needed()
        return context

    def get(
        self, id: str, /, *, scope: Scope, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Memory:
        """The memory: its current version, or the one of ``as_of`` and ``known_at``.

        A fact that no longer holds is there too, unless ``as_of`` asks for a time when it did not.

        Raises:
            MemoryNotFound: unknown, another scope's, forgotten or expired.
        """
        query = replace(self._current(scope, as_of, known_at), ids=(_require_id(id),), ended_at=None)
        found = self._log.read(query)
        if not found:
            raise unknown_memory(id)
        return found[0]

    def list(
        self,
        *,
        scope: Scope,
        kinds: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        """A page of the scope's memories in the order they were stored; every kind unless ``kinds`` narrows it.

        What is no longer true and what only restates a fact is left out, as in ``retrieve``; a scope that reads several
        agents of a user has their facts judged together. What untrusted authors wrote is shown; ``Memory.integrity``
        tells it apart.

        Args:
            as_of: What was true in the world then; unset = now, and what is yet to come.
            known_at: What the log held then.
            limit: 1 to 10,000.
            cursor: ``Page.cursor`` of the page before; stays good while memories are added, changed and forgotten.
        """
        query = replace(self._current(scope, as_of, known_at), kinds=checked_kinds(kinds))
        return page_of(self._log, query, where, limit=limit, cursor=cursor)

    def history(self, id: str, /, *, scope: Scope) -> Sequence[Memory]:
        """Every version of the memory, oldest first: who wrote it and why; also of a retired one.

        Raises:
            MemoryNotFound: unknown, another scope's, erased or expired.
        """
        self._require(scope)
        versions = self._log.history(scope, _require_id(id))
        if not self._unexpired(scope, versions):
            raise unknown_memory(id)
        return versions

    def why(self, id: str | IdentityLine, /, *, scope: Scope) -> Sequence[Memory]:
        """The memories that this one was derived from, oldest first: of a fact the turn it was read from.

        Raises:
            MemoryNotFound
        """
        derived = self.get(id.id if isinstance(id, IdentityLine) else id, scope=scope)
        return self._log.read(LogQuery(scope=scope, ids=derived.derived_from)) if derived.derived_from else ()

    def diff(self, *, scope: Scope, start: datetime, end: datetime) -> Diff:
        """What the log learned about the scope in [start, end): added, changed, no longer true, retired, erased."""
        self._require(scope)
        window = {"start": require_time(start, "start"), "end": require_time(end, "end")}
        if window["start"] > window["end"]:
            raise InvalidInput(f"start is later than end: {start} > {end}.")
        versions = self._log.changes(scope, window["start"], window["end"])
        return difference(self._unexpired(scope, versions), **window, receipts=self._log.receipts(scope))

    # --- who is who -------------------------------------------------------------------------------

    def identity(self, *, scope: Scope, as_of: datetime | None = None, known_at: datetime | None = None) -> Identity:
        """Who the agent is, who the person is, and what stands between them; ``Identity.since`` compares two.

        Args:
            as_of: As things stood in the world then. known_at: As the log knew them then.
        """
        self._require(scope)
        return self._identities.of(scope, as_of=as_of, known_at=known_at)

    def set_identity(
        self,
        section: IdentitySection,
        lines: str | Sequence[str],
        /,
        *,
        scope: Scope,
        reason: str | None = None,
        integrity: Integrity = "operator",
    ) -> Identity:
        """The identity in which exactly these lines of the section are written by hand; facts are not touched.

        An agent's scope writes for everybody that agent talks to, a scope of user and agent for that person, and a
        user's for every agent of theirs. Lines that stand already keep their ids; as many other lines as went are new
        versions of those; what is missing is retired, for ``restore`` to bring back. Were it to break in between, the
        same call again finishes it.

        Args:
            section: ``rules`` (kept as ``rule`` memories), ``persona``, ``profile``, ``relationship``, ``preferences``
                or ``commitments``.
            lines: A list of them, or a text of one a line; ``[]`` removes them all, a blank text is refused. Another
                order alone is no change.
            reason: Kept in the history.
        """
        self._require(scope)
        self._identities.set(
            section, lines, scope=scope, writer=self, reason=checked_reason(reason), integrity=integrity
        )
        return self._identities.of(scope)

    # --- update -----------------------------------------------------------------------------------

    def update(
        self,
        id: str,
        /,
        *,
        scope: Scope,
        content: str | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
        importance: float | Unset | None = UNSET,
        affect: Affect | Unset | None = UNSET,
        valid_from: datetime | Unset = UNSET,
        valid_to: datetime | Unset | None = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        """The memory's new version; the one before stays in its history.

        Args:
            content: Of a fact: a sentence of the same form, such as "The user lives in Porto."; its value is taken
                from there.
            metadata: Replaces the whole metadata.
            importance, affect: None = as the rule gives them for the words.
            valid_from, valid_to: When it is true in the world; ``valid_to=None`` leaves it open.
            expires_at: From then on it is hidden and purged; None = never.
            expected_version: The version the change was made from; if another one came between, nothing is
                written.
            reason: Kept in the history.

        Raises:
            MemoryNotFound, ScopeError (visible to this scope, but another layer's), VersionConflict.
        """
        self._require(scope)
        if expected_version is not None and type(expected_version) is not int:
            raise InvalidInput(f"expected_version must be a whole number, not {expected_version!r}.")
        old = self.get(id, scope=scope)
        revision = revision_of(
            old,
            content=content,
            metadata=metadata,
            importance=importance,
            affect=affect,
            valid_from=valid_from,
            valid_to=valid_to,
            expires_at=expires_at,
            reason=reason,
        )
        revision, generation = self._embedded(old, revision)
        memory = self._log.revise(
            scope, _require_id(id), revision, expected_version=expected_version, generation=generation
        )
        if memory.fact is not None:
            self._settling.drain()
        self._worker.wake()
        return memory

    def restore(self, id: str, /, *, scope: Scope, version: int | None = None, reason: str | None = None) -> Memory:
        """The memory as it was: a new version like ``version``, or, of a retired one, like its last.

        What was derived from a retired memory and went with it comes back with it.

        Raises:
            MemoryNotFound: unknown, foreign or erased; or it never had that version.
            InvalidInput: it is there, and no version was named.
        """
        self._require(scope)
        if version is not None and type(version) is not int:
            raise InvalidInput(f"version must be a whole number, not {version!r}.")
        memory = self._log.restore(scope, _require_id(id), version=version, reason=checked_reason(reason))
        self._settling.drain()
        self._worker.wake()
        return memory

    def feedback(
        self, target: str | Memory | Hit | Retrieval | Iterable[str | Memory | Hit], /, *, scope: Scope, outcome: float
    ) -> None:
        """Say how it went with memories that were used: -1 (they misled) to 1 (they helped).

        Moves each one's ``outcome`` a third of the way there, and with it, within a tenth, its rank; that of a lesson
        moves by more, until it fades.

        Args:
            target: Ids, memories or hits, one or many; a whole Retrieval means its hits.

        Raises:
            MemoryNotFound: one of them is unknown or foreign; nothing was noted.
        """
        self._require(scope)
        require_number(outcome, "outcome", -1.0, 1.0)
        ids = [_require_id(id) for id in _ids_of(target)]
        partitions = self._log.partitions_of(scope, ids)
        for id in ids:
            if id not in partitions:
                raise unknown_memory(id)
        self._log.note_uses([Use(partitions[id], id, outcome=float(outcome)) for id in dict.fromkeys(ids)])

    # --- forget -----------------------------------------------------------------------------------

    def forget(
        self,
        ids: str | Sequence[str] | None = None,
        /,
        *,
        scope: Scope,
        where: Mapping[str, Any] | None = None,
        everything: bool = False,
        mode: ForgetMode = "erase",
        dry_run: bool = False,
        verify: bool = False,
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        """A receipt for what was forgotten, without the content.

        Exactly one selector: ids, ``where``, or ``everything`` (of one user, or of one agent's layer). To take back all
        that came from one document, tool or import: ``where={"origin": "notes.md"}``. What the forgotten had
        superseded holds again, and summaries that quoted it are made anew without it.

        Args:
            mode: ``erase`` removes every version, retired ones too, what was derived from it, and its traces in indexes
                and files; ``retire`` only hides it: history and ``known_at`` keep it, ``restore`` brings it back.
            dry_run: Count only.
            verify: Look for the memories and for traces of them in every file afterwards, and for memories that still
                say nearly the same; the receipt tells.
            reason, requested_by: Kept in the receipt.

        Raises:
            InvalidInput: none or several selectors.
            MemoryNotFound: one of the ids is unknown or foreign; nothing was touched.
            ScopeError: ``everything`` of a scope that names both user and agent.
            UnderHold: a hold forbids erasing some of it; nothing was touched.
        """
        self._require(scope)
        if sum((ids is not None, where is not None, everything is not False)) != 1:
            raise InvalidInput(
                "forget() takes exactly one of ids, where= and everything=True.",
                hint="To forget a person: forget(scope=Scope(user=…), everything=True).",
            )
        if mode not in ("erase", "retire"):
            raise InvalidInput(f"mode cannot be {mode!r}.", hint="It takes 'erase' or 'retire'.")
        if everything is not False and everything is not True:
            raise InvalidInput(f"everything must be True or False, not {everything!r}.")
        how: dict[str, Any] = {
            "dry_run": dry_run,
            "verify": verify,
            "reason": checked_reason(reason),
            "requested_by": None if requested_by is None else require_text(requested_by, "requested_by"),
        }
        if everything and mode == "erase":
            receipt = self._forgetter.everything(scope, **how)
        elif ids is not None:
            receipt = self._forgetter.memories(scope, _required_ids(ids), mode=mode, **how)
        else:
            if everything:
                self._log.erase_everything(scope, dry_run=True)  # refuses the scopes that erasing refuses
            receipt = self._forget_matching(scope, where, mode=mode, **how)
        if not dry_run:
            self._settling.drain()
            self._retriever.drop_gone(scope)
            self._survey.drop_gone(scope)
            self._handovers.drop_gone(scope)
            self._contexts.drop_gone(scope)
            self._worker.wake()
        return receipt

    def receipts(self, *, scope: Scope) -> Sequence[Receipt]:
        """What was ever erased of this user (or of this agent's layer), oldest first; no content.

        ``verify()`` tells whether the chain of receipts is whole.
        """
        self._require(scope)
        return self._log.receipts(scope)

    def hold(self, *, scope: Scope, reason: str) -> Hold:
        """A legal hold: nothing of the scope is erased, by anybody or by retention, until ``release``.

        It freezes and shows nothing: what has expired stays hidden. The scope of a user covers every agent. Several may
        stand on one scope, told apart by their reasons (at most 500 characters each); the same reason again is the
        same hold.
        """
        self._require(scope)
        return self._log.hold(scope, reason=reason)

    def release(self, *, scope: Scope, reason: str | None = None) -> bool:
        """End the hold of exactly this scope and reason, or its only one; False if there was none.

        Raises:
            InvalidInput: there are several, and no reason was named; it names theirs.
        """
        self._require(scope)
        return self._log.release(scope, reason=reason)

    def holds(self, *, scope: Scope) -> Sequence[Hold]:
        """The holds that forbid erasing something of this scope."""
        self._require(scope)
        return self._log.holds(scope)

    # --- compress ---------------------------------------------------------------------------------

    def compress(
        self, *, scope: Scope, max_tokens: int = SUMMARY_TOKENS, level: Level = "session", keep_last: int = 0
    ) -> Sequence[Memory]:
        """One ``summary`` memory per session, its lines citing the turns they stand on; the turns stay.

        With a session in the scope only that one, else every session of the scope. A summary that is there
        already is replaced when it would be made of something else. Untrusted turns are left out.

        Args:
            max_tokens: Longest summary, in tokens.
            level: ``week``: one per ISO week, of its sessions' summaries and the turns that are in none; ``topic``: one
                for each of the ten names that most turns hold. Neither replaces another level's.
            keep_last: Turns at the end of each session that stay out of its summary.
        """
        self._require(scope)
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1:
            raise InvalidInput(f"max_tokens must be a whole number of at least 1, not {max_tokens!r}.")
        if isinstance(keep_last, bool) or not isinstance(keep_last, int) or keep_last < 0:
            raise InvalidInput(f"keep_last must be a whole number of at least 0, not {keep_last!r}.")
        if level not in LEVELS:
            raise InvalidInput(f"There is no level {level!r}.", hint=f"It is one of: {', '.join(LEVELS)}.")
        if keep_last and level != "session":
            raise InvalidInput(f"keep_last is about sessions, not about a {level}.")
        made = self._summarising.of_scope(scope, Recipe(level, max_tokens, keep_last))
        self._worker.wake()
        return made

    def end_session(self, *, scope: Scope) -> Memory | None:
        """The hand-over of the scope's session to the next one: what was talked about, decided, promised, left open,
        and the mood, as a ``summary`` memory whose lines cite their turns.

        Made anew if something was said since; the same memory if not; None if nothing was said that would tell. Waits
        up to 5 s for what was just said to be stored and read. Nobody has to call it: what the next session asks for
        first is made then.
        """
        self._require(scope)
        self.flush(_END_PATIENCE_S)
        made = self._handovers.end(scope)
        self._worker.wake()
        return made

    # --- wrap and bind ----------------------------------------------------------------------------

    def wrap(self, client: Client, *, scope: Scope | None = None, strict: bool = False) -> Client:
        """A copy of an LLM client, of the same type, that remembers: see ``agentmem.clients``.

        Args:
            scope: Whose memory; unset = that of ``use_scope`` at each call.
            strict: Raise where memory fails, instead of going on without it.
        """
        from agentmem.clients import bridge_of, wrap

        wrapped = wrap(
            client,
            memory=self,
            scope=scope,
            strict=strict,
            options=self._wrapping,
            spill=self._spill,
            ledger=self._ledger,
        )
        self._bridges.add(bridge_of(wrapped))
        return wrapped

    def wrap_callable(
        self,
        function: Callable[P, R],
        *,
        scope: Scope | None = None,
        strict: bool = False,
        messages_arg: str = "messages",
    ) -> Callable[P, R]:
        """A function of the same signature that remembers what is said through it, such as ``litellm.completion``.

        Args:
            messages_arg: The argument that holds the messages, or one string that the user says.
        """
        from agentmem.clients import bridge_of, wrap_callable

        wrapped = wrap_callable(
            function,
            memory=self,
            scope=scope,
            strict=strict,
            messages_arg=messages_arg,
            options=self._wrapping,
            spill=self._spill,
            ledger=self._ledger,
        )
        self._bridges.add(bridge_of(wrapped))
        return wrapped

    def tools(
        self,
        *,
        scope: Scope,
        integrity: Integrity = "assistant",
        may_erase: bool = False,
        include_untrusted: bool = False,
        max_tokens: int = 1_000,
    ) -> MemoryTools:
        """Tools with which a model manages this scope's memory itself, as OpenAI and Anthropic take them.

        Args:
            integrity: Whose words the model's are; ``tool`` or ``web`` where it works on what those told it.
            may_erase: Whether it may forget for good, and not only retire.
            include_untrusted: Whether its searches show what tools, web pages and unknown authors said.
            max_tokens: Most that a search may add to the prompt.
        """
        self._require(scope)
        from agentmem.clients.tools import MemoryTools

        return MemoryTools(
            self,
            scope,
            integrity=integrity,
            may_erase=may_erase,
            include_untrusted=include_untrusted,
            max_tokens=max_tokens,
            counter=self._tokens,
        )

    def bind(self, scope: Scope) -> BoundMemory:
        """The same verbs without ``scope=``."""
        self._require(scope)
        from agentmem.bound import BoundMemory

        return BoundMemory(self, scope)

    # --- in and out -------------------------------------------------------------------------------

    def export_to(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        scope: Scope,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
    ) -> int:
        """How many memories were written to the file, as JSON lines: what the scope may change, with its history.

        Args:
            as_of, known_at: Only what was true, or what the log held, then; without history.
        """
        from agentmem.portability import export_to

        query = replace(self._current(scope, as_of, known_at), writable=True)
        if as_of is None and known_at is None:
            query = replace(query, ended_at=None)  # what no longer holds is a part of the whole
        return export_to(self._log, _require_path(path), query)

    def import_from(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        scope: Scope,
        trust: Integrity | str,
        encoding: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """What was taken in from a file or folder: our export, JSONL of turns, chat exports, text, Markdown.

        Args:
            path: Also the name of a document, as it is given: importing the same path again replaces what changed.
                What became of a file that is gone from a folder is not guessed: its memories stay until
                ``forget(where={"source": "notes/gone.md"}, …)``.
            trust: Whose words these are: ``user``, ``operator``, ``web``, …; or ``declared`` for what each record
                says of itself. What declares an untrusted author stays untrusted.
            encoding: Of text files; unset = UTF-8.
            progress: Called with (bytes read, bytes there are) as it goes.
        """
        from agentmem.portability import import_from

        self._require(scope)
        return import_from(self, _require_path(path), scope=scope, trust=trust, encoding=encoding, progress=progress)

    # --- upkeep -----------------------------------------------------------------------------------

    def backup(self, path: str | os.PathLike[str], /) -> Path:
        """The file that the whole store was written to, while it is in use; ``restore_from`` takes it.

        Neither the key nor the journal of tombstones is in it: keep those apart, and what is forgotten from now on
        stays forgotten even when this backup comes back.

        Raises:
            InvalidInput: the file is there, or its folder is not.
            BackendError: the log has tools of its own for that (PostgreSQL: pg_dump).
        """
        self._require_open()
        file = _require_path(path)
        self._log.backup(file)
        return file

    def stats(self) -> Stats:
        """Counts over the whole store."""
        self._require_open()
        counts = self._log.counts()
        return Stats(
            memories=counts["memories"],
            versions=counts["versions"],
            partitions=counts["partitions"],
            vectors=counts["vectors"],
            waiting=counts["waiting"],
            bytes_on_disk=counts["bytes_on_disk"],
            cache_bytes=self._retriever.cache_bytes,
            embedder=self._embedder.name if self._embedder else "none",
            degraded=self._generations.compared()[1],
            cost=self._ledger.total,
        )

    def verify(self, *, deep: bool = False) -> Health:
        """What is right and wrong with the log and its indexes; ``deep`` also reads every row and vector."""
        self._require_open()
        mismatch = self._generations.compared()[1]
        embedder = Finding(
            "embedder",
            mismatch is None,
            mismatch or "its vectors are the log's",
            "agentmem reembed" if mismatch else "",
        )
        jobs = (self._extraction, self._settling, self._rolling, self._resummarising, self._sweeper)
        behind = (*self._indexer.check(deep=deep), *(finding for job in jobs for finding in job.check()))
        return Health((*self._log.check(deep=deep), embedder, *behind, *self._spill.check()))

    def repair(self) -> Health:
        """``verify`` after mending what can be mended without losing anything."""
        self._require_open()
        mended = (*self._log.repair(), *self._indexer.repair())
        return Health(self.verify().findings, mended)

    def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        """How many memories got vectors of the embedder at hand; resumable, and nothing to do is fine.

        Args:
            progress: Called with (done, total) as it goes.
        """
        self._require_open()
        if self._embedder is None:
            raise InvalidInput("There is no embedder to embed with.", hint="Configure one: embedder: static.")
        done = self._indexer.reembed(progress)
        self._generations.start_over()
        return done

    def flush(self, timeout_s: float | None = None) -> bool:
        """True when every job behind the log is done; False when the timeout came first or one could not be done.

        Traces of forgotten memories that a reader held in the write-ahead log are removed if it is gone.
        """
        self._require_open()
        self._forgetter.purge_rest()
        self._uses.write()
        is_recorded = all(bridge.flush(timeout_s) for bridge in tuple(self._bridges))
        self._spill.look()
        with self._extraction.hurried():
            return self._worker.flush(timeout_s) and is_recorded

    def close(self) -> None:
        """Finish the jobs behind the log and close what this manager opened. Closing twice is fine."""
        if self._closed:
            return
        for bridge in tuple(self._bridges):
            bridge.flush()  # turns of wrapped clients that are still being stored
        self._closed = True
        if self._spill.look():
            self._worker.wake()
        with self._extraction.hurried():
            self._worker.close()
        self._spill.close()
        self._uses.write()
        self._forgetter.purge_rest()
        self._close_owned()

    def __enter__(self) -> Self:
        self._require_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._owned:
            warnings.warn("A MemoryManager was not closed; use `with` or close().", ResourceWarning, stacklevel=2)

    # --- how ------------------------------------------------------------------------------------

    @classmethod
    def _from_config(cls, config: Config) -> Self:
        return cls(**config.backends())

    def _backend(self, role: str, spec: Any, **given: Any) -> Any:
        return _built(role, spec, clock=self._clock, owned=self._owned, **given)

    def _close_owned(self) -> None:
        while self._owned:
            close = getattr(self._owned.pop(), "close", None)
            if close is not None:
                close()

    def _require_open(self) -> None:
        if self._closed:
            raise ManagerClosed("This MemoryManager is closed.", hint="Open a new one.")

    def _require(self, scope: object) -> None:
        self._require_open()
        if not isinstance(scope, Scope):
            raise InvalidInput(
                f"scope must be a Scope, not {type(scope).__name__}.", hint='Write scope=Scope(user="ana").'
            )
        missing = sorted(name for name in self._required_ids if getattr(scope, name) is None)
        if missing:
            raise ScopeError(
                f"This memory requires scopes with {', '.join(missing)} (scope.require in its configuration)."
            )

    def _wake_if_needed(self) -> None:
        """Let the worker carry out what reading left to do."""
        if self._uses.is_due or (self._retriever.has_met_expired and self._sweeper.is_needed):
            self._worker.wake()

    def _append(self, items: Iterable[object], scope: Scope) -> Sequence[Memory]:
        self._require(scope)
        prepared = self._storing.prepare(items, scope)
        return self._write(scope, prepared.drafts, prepared.replacing)

    def _write(self, scope: Scope, drafts: Sequence[Draft], replacing: frozenset[str]) -> Sequence[Memory]:
        memories = self._storing.store(drafts, scope, replacing=replacing)
        self._worker.wake()
        return memories

    def _embedded(self, old: Memory, revision: Revision) -> tuple[Revision, int | None]:
        """The revision with the vector of its new words, and the vector's generation."""
        if isinstance(revision.content, Unset) or self._embedder is None or not self._embedder.is_local:
            return revision, None
        generation = self._generations.number_for_writes()
        if generation is None:
            return revision, None
        metadata = old.metadata if isinstance(revision.metadata, Unset) else revision.metadata
        words = meant(replace(old, content=revision.content, metadata=metadata))
        return replace(revision, vector=embed_one(words, self._embedder)), generation

    def _current(self, scope: Scope, as_of: datetime | None, known_at: datetime | None) -> LogQuery:
        """What a read may see: as the world and the log were then, and nothing that has expired by now."""
        self._require(scope)
        as_of = None if as_of is None else require_time(as_of, "as_of")
        known_at = None if known_at is None else require_time(known_at, "known_at")
        query = LogQuery(scope=scope, as_of=as_of, known_at=known_at, ended_at=as_of or known_at or self._clock())
        return self._retention.readable(query)

    def _unexpired(self, scope: Scope, versions: Sequence[Memory]) -> Sequence[Memory]:
        """Those of the versions whose memories have not expired by now, retired or not."""
        query = LogQuery(scope=scope, ids=tuple({version.id for version in versions}), retired=True)
        shown = {memory.id for memory in self._log.read(self._retention.readable(query))}
        return [version for version in versions if version.id in shown]

    def _forget_matching(
        self, scope: Scope, where: Mapping[str, Any] | None, *, mode: ForgetMode, **how: Any
    ) -> Receipt:
        if not how["dry_run"]:
            self._spill.clear(scope)  # what waits to be stored may match as well
        query = LogQuery(scope=scope, writable=True, retired=mode == "erase")
        while True:
            chosen = list(dict.fromkeys(memory.id for memory in matching(self._log, query, where)))
            try:
                return self._forgetter.memories(scope, chosen, mode=mode, **how)
            except MemoryNotFound:
                continue  # another one forgot some of them meanwhile


_END_PATIENCE_S: Final = 5.0
_TURN_DEFAULTS: Final[dict[str, Any]] = {
    "kind": "turn",
    "role": "user",
    "speaker": None,
    "occurred_at": None,
    "metadata": None,
    "importance": None,
    "affect": None,
    "integrity": None,
    "expires_at": None,
    "idempotency_key": None,
}


def _built(role: str, spec: Any, *, owned: list[Any], **given: Any) -> Any:
    """The backend that is meant; what is built here joins what is owned, and closed with it."""
    if spec is None and role != "log":
        return None
    made = build(role, spec, given=given)
    if made is not spec:
        owned.append(made)
    return made


def _sorted_options(made: type[MemoryManager], options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of a SQL log, and those of the manager.

    Raises:
        ConfigError: neither takes one of them.
    """
    from agentmem.log.sql import SQLLog

    backends = {name: None for each in (MemoryManager, made) for name in options_of(each) if name != "log"}
    of_log = [name for name in options_of(SQLLog) if name != "url" and name not in backends]
    known = [*of_log, *backends]
    for name in options:
        if name not in known:
            raise ConfigError(
                f"open() takes no {name!r}. {did_you_mean(name, known)}".rstrip(), hint=f"It takes: {', '.join(known)}."
            )
    return (
        {name: value for name, value in options.items() if name in of_log},
        {name: value for name, value in options.items() if name in backends},
    )


def _store_turns(storing: Storing, turns: Sequence[Turn], scope: Scope) -> None:
    storing.store(storing.prepare(turns, scope).drafts, scope)


def _default_counter() -> TokenCounter:
    from agentmem.tokens import default_counter

    return default_counter()


def _required_ids(ids: object) -> list[str]:
    if not isinstance(ids, str | Iterable):
        raise InvalidInput(f"ids must be an id or a list of ids, not {type(ids).__name__}.", hint="It is memory.id.")
    chosen = [ids] if isinstance(ids, str) else list(ids)
    if not chosen:
        raise InvalidInput("forget() was given no ids.", hint="Pass at least one id.")
    return [_require_id(id) for id in chosen]


def _require_id(id: object) -> str:
    if not isinstance(id, str) or not id:
        # Not what was passed: a Memory would show its content.
        found = "an empty one" if id == "" else f"a {type(id).__name__}"
        raise InvalidInput(f"An id must be a non-empty string, not {found}.", hint="It is memory.id.")
    # Text no store can hold is the id of nothing.
    if "\x00" in id or any(0xD800 <= ord(character) <= 0xDFFF for character in id):
        raise unknown_memory(id)
    return id


def _require_path(path: object) -> Path:
    if not isinstance(path, str | os.PathLike) or not str(path):
        raise InvalidInput(f"path must name a file or folder, not {path!r}.", hint='Write "conversations.json".')
    return Path(path)


def _made_folder(place: object) -> Path:
    if not isinstance(place, str | os.PathLike) or not str(place):
        raise ConfigError(f"{place!r} is neither a folder nor the URL of a database.")
    folder = Path(place).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"The folder {str(folder)!r} cannot be made: {error}.", hint="Name another folder."
        ) from error
    return folder


def _ids_of(target: str | Memory | Hit | Retrieval | Iterable[str | Memory | Hit]) -> list[str]:
    if not isinstance(target, str | Memory | Hit | Iterable):
        raise InvalidInput(
            f"feedback() judges memories, not {type(target).__name__}.", hint="Pass an id, a Hit or a Retrieval."
        )
    each = [target] if isinstance(target, str | Memory | Hit) else list(target)
    if not each:
        raise InvalidInput("feedback() was given nothing to judge.", hint="Pass an id, a Hit or a Retrieval.")
    return [one if isinstance(one, str) else getattr(one, "id", "") for one in each]
