"""Everything you may subclass, side by side. A backend is one class; its suite is in ``agentmem.testing``.

The log is the only truth. Every index is derived from it, returns row numbers and scores only, and can be
deleted and rebuilt. Interfaces take one frozen request, so they grow by fields and old backends keep working.

Row numbers: within one partition every version row has a number (``row``), ascending in commit order and
never reused. A partition is one (tenant, user, agent) layer.
"""

from __future__ import annotations

import hashlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from agentmem.errors import BackendError
from agentmem.records import (
    UNSET,
    Affect,
    Draft,
    Fact,
    Finding,
    ForgetMode,
    Hold,
    Integrity,
    Kind,
    Memory,
    Polarity,
    Receipt,
    Role,
    Scope,
    Source,
    Unset,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    RowNumbers = NDArray[np.int64]
    Scores = NDArray[np.float32]


# --- the log --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """One visible partition and the number of its last write; two equal heads mean nothing changed."""

    partition: int
    tenant: str
    user: str | None
    agent: str | None
    seq: int


@dataclass(frozen=True, slots=True)
class Outlived:
    """A retention rule as of a moment. Of several the first that matches a memory decides; the rest are not looked at.

    Args:
        before: What occurred before is expired; None = nothing is: an exception to the rules behind it.
        kinds: None matches all, as do ``tenant``, ``user`` and ``agent`` that are None.
    """

    before: datetime | None
    kinds: frozenset[str] | None = None
    tenant: str | None = None
    user: str | None = None
    agent: str | None = None

    def covers(self, kind: str, *, tenant: str, user: str | None, agent: str | None) -> bool:
        """Whether it decides about such memories, unless one before it does."""
        return (
            (self.kinds is None or kind in self.kinds)
            and self.tenant in (None, tenant)
            and self.user in (None, user)
            and self.agent in (None, agent)
        )


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which memories to read; every condition given must hold. Order: partition, then order stored.

    Args:
        scope: Whose; the reader's rule of ``Scope`` decides which partitions are visible.
        writable: Only what this scope may also change.
        ids: Only these.
        rows: Only these (partition, row) pairs.
        as_of: Only what was true in the world then (``valid_from <= as_of < valid_to``).
        known_at: The versions that the log held then; unset = the current ones.
        unexpired_at: Only what has not expired then, by its last version, nor anything that it was made from.
        outlived: Not what these retention rules let expire, nor what was made from that; in their order.
        ended_at: Not what had stopped being true in the world then (``valid_to <= ended_at``).
        retired: Also the last version of each retired memory.
        same_key: Only facts of the keys (subject, attribute, topic) that the facts of these ids have.
        origin: Only what was taken in from there.
        derived_from: Only what was made from one of these ids.
        after: Continue behind this (partition, position).
    """

    scope: Scope
    writable: bool = False
    ids: tuple[str, ...] | None = None
    rows: tuple[tuple[int, int], ...] | None = None
    kinds: frozenset[str] | None = None
    session: str | None = None
    source: str | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    unexpired_at: datetime | None = None
    outlived: tuple[Outlived, ...] = ()
    ended_at: datetime | None = None
    retired: bool = False
    same_key: tuple[str, ...] | None = None
    origin: str | None = None
    derived_from: tuple[str, ...] | None = None
    after: tuple[int, int] | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class IndexQuery:
    """What an index of one partition lacks: everything written after ``after``.

    ``known_at`` asks instead for the rows as the log held them then (``after`` must be 0). With
    ``unexpired_at``, what that and ``outlived`` would leave out of a ``LogQuery`` has it as its ``expires_at``, and
    nothing else has an end before it.
    """

    scope: Scope
    partition: int
    after: int = 0
    known_at: datetime | None = None
    vectors: bool = True
    unexpired_at: datetime | None = None
    outlived: tuple[Outlived, ...] = ()


class IndexRow(NamedTuple):
    """One current version row, as much of it as ranking and filtering need. Times are microseconds since 1970 UTC.

    ``metadata``, ``affect``, ``fact`` and ``derived_from`` are JSON.
    """

    row: int
    id: str
    version: int
    kind: Kind
    role: Role
    speaker: str | None
    session: str | None
    position: int
    occurred_at: int
    recorded_from: int
    valid_from: int
    valid_to: int | None
    expires_at: int | None
    importance: float | None
    integrity: Integrity
    source: str | None
    metadata: str
    length: int
    terms: bytes
    generation: int | None
    affect: str | None
    fact: str | None
    restates: str | None
    derived_from: str | None
    origin: str | None
    written_by: str
    accesses: int
    outcome: float
    vector: bytes | None


@dataclass(frozen=True, slots=True)
class IndexBatch:
    """Rows that became current, ascending; rows that are no longer; rows whose vector or use came later.

    Args:
        seq: The partition's head that applying this batch reaches.
        vectors: row -> (generation, float16 bytes).
        uses: row -> (accesses, outcome), where they changed.
    """

    seq: int
    rows: Sequence[IndexRow]
    gone: Sequence[int] = ()
    vectors: Mapping[int, tuple[int, bytes]] = field(default_factory=dict)
    uses: Mapping[int, tuple[int, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """A new version of one memory; what is UNSET stays as it was.

    ``terms``, ``length`` and ``vector`` come with ``content``. A change of ``fact`` or of validity lets the log settle
    the fact's key again.
    """

    content: str | Unset = UNSET
    metadata: Mapping[str, Any] | Unset = UNSET
    importance: float | Unset | None = UNSET
    affect: Affect | Unset | None = UNSET
    source: Source | Unset | None = UNSET
    fact: Fact | Unset = UNSET
    valid_from: datetime | Unset = UNSET
    valid_to: datetime | Unset | None = UNSET
    expires_at: datetime | Unset | None = UNSET
    written_by: str = "caller"
    reason: str | None = None
    terms: bytes = b""
    length: int = 0
    vector: bytes | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a fact stands among those of its key: until when it holds, what closed it, what it restates."""

    valid_to: datetime | None
    superseded_by: str | None = None
    restates: str | None = None
    times: int = 1


Settle = Callable[[Sequence[Memory]], Mapping[str, Standing]]
"""From every current fact of one key (subject, attribute, topic) of a partition, to how each stands; by id. Pure.

It sees the facts as they were said, whatever was settled before: ``valid_to`` is the stated one, ``superseded_by`` and
``restates`` are None, ``times`` is 1. A fact that it leaves out stands as it was said.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """Work that a write left behind, kept in its transaction: ``summarise`` the session named ``key``.

    A summary written by ``compressor:…`` leaves the job ``summarise:…``, so that it is made again as it was.
    """

    partition: int
    job: str
    key: str


@dataclass(frozen=True, slots=True)
class Use:
    """That a memory was an answer so many times, and, if somebody said so, how it turned out (-1 to 1)."""

    partition: int
    id: str
    accesses: int = 0
    outcome: float | None = None


@dataclass(frozen=True, slots=True)
class Erasure:
    """What ``forget`` removed from the log: counts by table, and what indexes must drop.

    Args:
        memories: Memories forgotten, those derived from them included.
        dropped: (partition, row) pairs.
        partitions: Partitions that are gone as a whole; their rows are not in ``dropped``.
        receipt: The receipt that was written in the same transaction, by its id; None for a dry run.
    """

    memories: int
    rows: Mapping[str, int]
    dropped: Sequence[tuple[int, int]] = ()
    partitions: Sequence[int] = ()
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Who asked for an erasure and why; what its receipt begins with."""

    id: str
    requested_at: datetime
    requested_by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """One set of vectors that may be compared with each other: all from one embedder."""

    number: int
    fingerprint: str
    dimensions: int
    embedder: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """The vector of one version row, for ``put_vectors``: float16 bytes, or None where the text has none."""

    partition: int
    row: int
    vector: bytes | None


class EpisodicLog(ABC):
    """The only truth: every version of every memory.

    What must hold:

    - A call that returned is durable; a call that raised changed nothing.
    - ``scope`` is enforced by every method that takes one, by-id calls too. An id of another scope
      and an id that never was raise the same MemoryNotFound.
    - Writes of one partition are totally ordered; ``Head.seq`` grows with every one of them.
    - Content is checked against its hash when read (CorruptRecord).
    - Every method may be called from several threads, and from several processes on one database.
    """

    is_sealed: bool = False
    """True if no word and no vector lies in the clear in it, so that no index may keep them in the clear either."""

    @abstractmethod
    def append(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        generation: int | None,
        replacing: frozenset[str] = frozenset(),
    ) -> list[Memory]:
        """Store all or none; the memories in the order given.

        A draft whose idempotency key is already there yields the memory stored then. Vectors are kept only
        while ``generation`` is the current one. The documents named in ``replacing`` end up with exactly the
        chunks among the drafts: a chunk with the same headings and text keeps its id, what is missing is retired.

        Raises:
            IdempotencyConflict: the key is there with other content.
            InvalidInput: a draft's ``id`` exists already.
            MemoryNotFound: a draft is derived from a memory that was erased here, or has the id of one.
        """

    @abstractmethod
    def revise(
        self, scope: Scope, id: str, revision: Revision, *, expected_version: int | None, generation: int | None
    ) -> Memory:
        """Store a new version and close the one before.

        Raises:
            MemoryNotFound, ScopeError (visible, but not this scope's to change), VersionConflict.
        """

    @abstractmethod
    def restore(self, scope: Scope, id: str, *, version: int | None, reason: str | None) -> Memory:
        """A new current version like an old one: ``version``, or the last. Of a retired memory what was derived from
        it and retired with it comes back too.

        Raises:
            MemoryNotFound (also for a version that never was), ScopeError.
        """

    @abstractmethod
    def erase(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        mode: ForgetMode,
        dry_run: bool = False,
        request: ErasureRequest | None = None,
    ) -> Erasure:
        """Forget these memories with their whole history, and what was derived from them.

        ``retire`` closes the current versions of all these instead: hidden from reads, kept in the history.
        ``dry_run`` only counts. What they had superseded is settled again, and sessions whose summary went are left
        as ``summarise`` tasks, both in the same transaction. With a ``request`` a receipt is written in it too.

        Raises:
            MemoryNotFound: one of them is unknown or foreign; nothing was touched.
            UnderHold: a hold covers one of them and ``mode`` is ``erase``.
        """

    @abstractmethod
    def erase_everything(
        self, scope: Scope, *, dry_run: bool = False, request: ErasureRequest | None = None
    ) -> Erasure:
        """Forget every row of one user, or of one agent's layer, with its partitions.

        From the moment that the wish is recorded nothing of it is read any more, and if the process dies before it is
        carried out, ``resume`` does.

        Raises:
            ScopeError: the scope names both a user and an agent.
            UnderHold
        """

    @abstractmethod
    def resume(self) -> list[Erasure]:
        """Carry out what ``erase_everything`` recorded and a crash cut short; usually nothing."""

    @abstractmethod
    def hold(self, scope: Scope, *, reason: str) -> Hold:
        """Let nothing of the scope be erased until ``release``; a scope of a user covers every agent of it.

        Several may stand on one scope, told apart by their reasons; the same reason again is the same hold.
        """

    @abstractmethod
    def release(self, scope: Scope, *, reason: str | None = None) -> bool:
        """End the hold of exactly this scope and reason, or its only one; False if there was none.

        Raises:
            InvalidInput: there are several, and no reason was named; it names theirs.
        """

    @abstractmethod
    def holds(self, scope: Scope) -> list[Hold]:
        """The holds that cover something this scope may change."""

    @abstractmethod
    def receipts(self, scope: Scope) -> list[Receipt]:
        """The receipts of this subject's erasures, oldest first, as they stand now."""

    @abstractmethod
    def unfinished_receipts(self) -> list[tuple[Receipt, Erasure]]:
        """Receipts that are still ``pending``, with what the indexes must drop."""

    @abstractmethod
    def close_receipt(self, receipt: Receipt) -> Receipt:
        """Keep what became of an erasure; the receipt with its place in the tenant's chain."""

    @abstractmethod
    def settle(self, decide: Settle, *, limit: int = 100) -> int:
        """Bring facts whose key a write has touched to where ``decide`` says they stand; how many keys were settled.

        Each key in a transaction of its own; where validity changes, a version is written (``supersession``), and
        ``times`` changes in place. A key for which ``decide`` raises is left for another time and holds up no other.
        """

    @abstractmethod
    def tasks(self, job: str, *, limit: int = 100) -> list[Task]:
        """Work of this job, and of ``job:…``, that writes left behind."""

    @abstractmethod
    def finish(self, task: Task) -> None:
        """The task is done; fine if it is not there."""

    @abstractmethod
    def note_uses(self, uses: Sequence[Use]) -> None:
        """Add accesses and outcomes to memories; ignored for those that are gone.

        An outcome moves the kept one a third of the way towards itself, so that new experience outweighs old.
        """

    @abstractmethod
    def changes(self, scope: Scope, start: datetime, end: datetime) -> list[Memory]:
        """Every version that was recorded or closed in [start, end), in the order stored; what the scope reads."""

    @abstractmethod
    def overdue(self, head: Head, *, at: datetime, outlived: Sequence[Outlived], limit: int) -> list[str]:
        """Ids of the partition's memories, retired ones too, that had expired then and are under no hold."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """The files that may hold traces of what was stored, for a search through them; none for a server."""

    @abstractmethod
    def copies(self, contents: Sequence[str]) -> Mapping[str, int]:
        """How often rows of anybody hold these words, alone or among others, by content; counts only."""

    @abstractmethod
    def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        """Those of the ids that were erased here, so that imports do not bring them back."""

    def has_forgotten(self, scope: Scope) -> bool:
        """Whether a turn of the scope's session, or without a session any turn of its owner, was ever forgotten.

        Or was private (``mark_private``); retired counts. Too often yes is fine, too often no is not: the default
        looks for any receipt of the owner's.
        """
        return bool(self.receipts(scope))

    def mark_private(self, scope: Scope) -> None:
        """From now on ``has_forgotten`` the scope's session: what is sent again of it may be private.

        Nothing of what was said is kept. A log without such marks raises: its clients tell of it.
        """
        raise BackendError(
            f"A {type(self).__name__} keeps no marks of sessions.",
            hint="Private turns can be recorded when another process gets them sent again.",
        )

    @abstractmethod
    def read(self, query: LogQuery) -> list[Memory]:
        """The memories that match, in the order stored."""

    @abstractmethod
    def partitions_of(self, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
        """The partition of each id that the scope reads; those it does not read are left out."""

    @abstractmethod
    def history(self, scope: Scope, id: str) -> list[Memory]:
        """Every version, oldest first. Raises MemoryNotFound."""

    @abstractmethod
    def heads(self, scope: Scope) -> list[Head]:
        """The partitions that this scope reads."""

    @abstractmethod
    def index_rows(self, query: IndexQuery) -> IndexBatch:
        """What an index of the partition lacks; raises ScopeError if the scope does not read the partition."""

    @abstractmethod
    def vectors(self, scope: Scope, rows: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        """float16 bytes of the vectors of these (partition, row) pairs, where there are any."""

    @abstractmethod
    def generation(self) -> Generation | None:
        """The current generation, or None before the first vector."""

    @abstractmethod
    def start_generation(self, fingerprint: str, dimensions: int, embedder: str) -> Generation:
        """Make a generation of this embedder the current one; rows of others no longer count as having a vector.

        Nothing changes if the current one has the same fingerprint already.
        """

    @abstractmethod
    def all_heads(self) -> list[Head]:
        """Every partition there is, for jobs and upkeep; holds no content."""

    @abstractmethod
    def without_vector(self, head: Head, generation: int, *, after: int, limit: int) -> list[tuple[int, Memory]]:
        """(row, memory) of current rows of a partition that have no vector of the generation, ascending by row."""

    @abstractmethod
    def put_vectors(self, generation: int, embedded: Sequence[Embedded]) -> None:
        """Keep vectors that came later; ignored for rows that are gone and when the generation is not current."""

    @abstractmethod
    def cursor(self, index: str, generation: int, partition: int) -> int:
        """How far an index has applied the partition; 0 at first."""

    @abstractmethod
    def move_cursor(self, index: str, generation: int, partition: int, seq: int) -> None: ...

    @abstractmethod
    def counts(self) -> Mapping[str, Any]:
        """``memories`` by kind, ``versions``, ``partitions``, ``vectors``, ``waiting``, ``bytes_on_disk``."""

    @abstractmethod
    def check(self, *, deep: bool = False) -> list[Finding]:
        """What ``verify`` reports of the log: settings, schema, integrity; ``deep`` reads every row's hash."""

    @abstractmethod
    def repair(self) -> list[str]:
        """Mend what can be mended without losing anything; what was mended, in words."""

    def fence_key(self) -> bytes:
        """A secret of at least 16 bytes, for the fences of prompts that stay the same: always the same of one log.

        Every process that has the log open should be given the same; the default is random for each log object.
        """
        key: bytes = self.__dict__.setdefault("_random_fence_key", secrets.token_bytes(32))
        return key

    @property
    def spill_folder(self) -> Path | None:
        """Where turns may lie in the clear that cannot be stored at once; None where they may not, or nowhere here."""
        return None

    def backup(self, path: Path) -> None:
        """Write all of it to one file, while it is in use. A log whose database has tools for that need not."""
        raise BackendError(f"{type(self).__name__} writes no backups.", hint="Use the tools of its database.")

    @abstractmethod
    def purge_traces(self) -> tuple[str, ...]:
        """Remove traces of erased rows outside the tables (write-ahead log); what is left to do, in words."""

    @abstractmethod
    def close(self) -> None: ...


# --- embedders ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts to embed; ``purpose`` lets asymmetric models tell a stored text from a question."""

    texts: Sequence[str]
    purpose: Literal["memory", "query"] = "memory"


class Embedder(ABC):
    """Text to vectors.

    What must hold: the same text gives the same vector; rows have length 1, or are all zero where the text
    has no vector (empty, no known token); nothing is NaN; order is kept.
    """

    name: str
    dimensions: int
    is_local: bool = True
    """True if it is fast and cannot fail, so that it may run on the write path (no network)."""

    @abstractmethod
    def embed(self, request: EmbedRequest) -> Vectors:
        """Vectors of the texts: (n, dimensions) float32, rows of length 1 or 0."""

    def fingerprint(self) -> str:
        """Which vectors these can be compared with: a hash of what the embedder makes of fixed probes.

        Rounded to two decimals, so that another processor's last bits do not look like another model.
        """
        probes = ["The cat sat on the mat.", "Der Zug fährt um 9 Uhr.", "2026-11-23 invoice #4711", "記憶"]
        rounded = (self.embed(EmbedRequest(probes)) * 100).round().astype("int16")
        return f"{self.name}:{hashlib.blake2b(rounded.tobytes(), digest_size=8).hexdigest()}"

    def close(self) -> None:
        """Release what was opened; the default has nothing to release."""
        return


# --- indexes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VectorChange:
    """What changed in one partition: vectors to put (replacing) and rows to drop. Applying it twice is once.

    Args:
        rows: (n,) int64.
        vectors: (n, d) float32, rows of length 1.
        gone: Rows to drop; unknown ones are ignored.
    """

    generation: Generation
    partition: int
    rows: RowNumbers
    vectors: Vectors
    gone: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """The nearest rows of one partition: at most ``limit``, cosine."""

    generation: Generation
    partition: int
    vector: Vectors
    limit: int


@dataclass(frozen=True, slots=True)
class VectorHits:
    """Row numbers and their cosine, -1 to 1, nearest first. (n,) int64 and (n,) float32."""

    rows: RowNumbers
    scores: Scores


class VectorStore(ABC):
    """Nearest vectors of a partition. Disposable: the log's vectors rebuild it without an embedder.

    What must hold: what was applied is found by the next ``search``; partitions and generations never mix;
    a row that is gone is never returned; ``apply`` is idempotent; ids and scores only, never text.
    """

    purges_slowly: bool = False
    """True if ``purge_traces`` takes seconds: a single forget then leaves it to flush() and close()."""

    @abstractmethod
    def apply(self, change: VectorChange, *, connection: Any = None) -> None:
        """Apply a change; ``connection`` is the log's own transaction where the store lives in the same database."""

    @abstractmethod
    def search(self, query: VectorQuery) -> VectorHits: ...

    @abstractmethod
    def rows(self, generation: Generation, partition: int) -> set[int]:
        """Every row it holds of the partition."""

    @abstractmethod
    def drop(self, generation: Generation, partition: int) -> None:
        """Remove a partition, from disk too; nothing to remove is fine."""

    def purge_traces(self) -> tuple[str, ...]:
        """Remove what deleted rows leave behind in files; what is left to do, in words. The default leaves nothing."""
        return ()

    def files(self) -> Sequence[Path]:
        """The files that may hold traces of vectors, for a search through them; the default has none."""
        return ()

    def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class LexicalChange:
    """Token bags to put and rows to drop in one partition. Applying it twice is once."""

    partition: int
    bags: Mapping[int, bytes]
    gone: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """The best rows for these terms, among all the partitions together (one IDF over them)."""

    partitions: Sequence[int]
    terms: Sequence[int]
    limit: int


@dataclass(frozen=True, slots=True)
class LexicalHits:
    """(partition, row) pairs with their BM25 score, best first; each score above 0."""

    rows: Sequence[tuple[int, int]]
    scores: Scores


class LexicalIndex(ABC):
    """BM25 over token bags, IDF over the partitions asked.

    What must hold: as for VectorStore; and a row of a partition that was not asked never changes a score.
    """

    @abstractmethod
    def apply(self, change: LexicalChange, *, connection: Any = None) -> None: ...

    @abstractmethod
    def search(self, query: LexicalQuery) -> LexicalHits: ...

    @abstractmethod
    def drop(self, partition: int) -> None: ...

    def close(self) -> None:
        return


@dataclass(frozen=True, slots=True)
class RerankRequest:
    query: str
    texts: Sequence[str]


class Reranker(ABC):
    """A second look at the best few; blended with the fused score, never the only order."""

    @abstractmethod
    def rerank(self, request: RerankRequest) -> Scores:
        """(n,) float32, 0 to 1, higher is nearer, in the order of the texts."""

    def close(self) -> None:
        """Release what was opened; the default has nothing to release."""
        return


# --- derived memories -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CompressionRequest:
    """Memories to compress, oldest first, all of one scope and one integrity band.

    ``facts`` were taken from some of them and hold: what they stand on is worth keeping.
    """

    memories: Sequence[Memory]
    max_tokens: int
    facts: Sequence[Memory] = ()


@dataclass(frozen=True, slots=True)
class CompressedLine:
    """One line of a summary and the ids it stands on (at least one).

    ``by`` names the compressor that stood in where another one could not work: what it made is made anew when asked
    for next.
    """

    text: str
    derived_from: tuple[str, ...]
    by: str | None = None


class Compressor(ABC):
    """Fewer tokens, same evidence.

    What must hold: every line cites at least one of the given memories and no other; the lines together stay
    within ``max_tokens``; no memories, no lines.
    """

    name: str = "compressor"
    """Says in a summary's history who made it; summaries by one of another name are made anew."""

    @abstractmethod
    def compress(self, request: CompressionRequest) -> Sequence[CompressedLine]: ...


@dataclass(frozen=True, slots=True)
class ExtractionRequest:
    """Turns to take facts from, oldest first, all of one scope."""

    memories: Sequence[Memory]


@dataclass(frozen=True, slots=True)
class ExtractedFact:
    """(subject, attribute, value) with the turn and the characters it was read from (end excluded).

    ``valid_from`` and ``valid_to`` say when it is true in the world, where the words do; unset = from when it was said.
    Of a plan or a commitment ``valid_from`` is the day it is for, and ``due`` the end of that day, week or month.
    """

    subject: str
    attribute: str
    value: str
    polarity: Polarity
    derived_from: str
    start: int
    end: int
    topic: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    due: datetime | None = None


class Extractor(ABC):
    """Turns to facts. What must hold: every fact cites one of the given turns, and a span inside its content."""

    name: str = "extractor"
    """Says in a fact's history who read it: ``extractor:rules``."""
    waits_s: float = 0.0
    """How long new turns may wait for others to be read with, in seconds, where a call costs more than a turn."""

    @abstractmethod
    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]: ...

    def describe_outcomes(self) -> str:
        """What has come of its work so far, in words for ``verify``; "" if there is nothing to say."""
        return ""


# --- tokens and models ----------------------------------------------------------------------------


class TokenCounter(ABC):
    """How many tokens a text costs. What must hold: 0 for "", never negative, never the network."""

    name: str
    is_exact: bool

    @abstractmethod
    def count(self, text: str) -> int: ...


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What to ask a model; ``schema`` (a JSON Schema) asks for an answer of that shape where the model can."""

    messages: Sequence[Message]
    max_tokens: int | None = None
    temperature: float | None = None
    timeout_s: float = 60.0
    schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model answered; ``finish_reason`` tells a whole answer (``stop``) from a cut or refused one."""

    text: str
    finish_reason: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class LLM(ABC):
    """A language model, for what is optional and off the write path."""

    @abstractmethod
    def complete(self, request: CompletionRequest) -> Completion:
        """Raises BackendError when there is no answer."""

    def stream(self, request: CompletionRequest) -> Iterator[str]:
        """The answer in pieces; the default gives it in one."""
        yield self.complete(request).text
