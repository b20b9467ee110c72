"""A log whose words are sealed with a key per person: destroying the key forgets them in every backup too.

Content, metadata, names, facts, token bags and vectors are sealed before they reach the database (AES-256-SIV,
RFC 5297, which seals the same text the same way, so that idempotency and documents still recognise it) and opened on
their way out. Search happens in memory over what was opened. In the clear stay ids, times, kinds, roles, sessions,
importance, and the owner's own ids. What it costs is measured by ``bench/sealed.py``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agentmem.clock import Clock, utc_now
from agentmem.errors import ConfigError, CorruptRecord
from agentmem.interfaces import (
    Embedded,
    EpisodicLog,
    Erasure,
    ErasureRequest,
    Generation,
    Head,
    IndexBatch,
    IndexQuery,
    IndexRow,
    LogQuery,
    Outlived,
    Revision,
    Settle,
    Standing,
    Task,
    Use,
)
from agentmem.log.keyring import MASTER_KEY_VARIABLE, Key, KeyRing, Subject, master_key
from agentmem.log.sql import SQLLog
from agentmem.records import Affect, Draft, Fact, Finding, ForgetMode, Hold, Memory, Receipt, Scope, Source, Unset

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

T = TypeVar("T")

_MARK: Final = "sealed:"
_NOTHING: Final = Affect()


class SealedLog(EpisodicLog):
    """A SQL log that keeps only sealed words.

    Args:
        url: As for ``SQLLog``.
        keys: The folder of the keys; keep it out of the database's backups.
        master_key_variable: The environment variable whose key wraps the others; unset in the environment = bare keys.
        options: What else ``SQLLog`` takes.

    Raises:
        ConfigError: the package ``cryptography`` is missing, or the keys' folder will not do.
    """

    is_sealed = True

    def __init__(
        self,
        url: str = "sqlite:///agentmem.db",
        *,
        keys: str | Path,
        master_key_variable: str = MASTER_KEY_VARIABLE,
        clock: Clock = utc_now,
        **options: Any,
    ) -> None:
        _require_cryptography()
        self._keys = KeyRing(keys, master_key=master_key(master_key_variable))
        self._log = SQLLog(url, clock=clock, **options)
        self._subjects: dict[int, Subject] = {}

    @property
    def place(self) -> str:
        """Where the database is, without its password."""
        return self._log.place

    # --- writes

    def append(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        generation: int | None,
        replacing: frozenset[str] = frozenset(),
    ) -> list[Memory]:
        seal = _Seal(self._keys.made(_subject(scope)))
        memories = self._log.append(
            scope,
            [seal.draft(draft) for draft in drafts],
            generation=generation,
            replacing=frozenset(map(seal.text, replacing)),
        )
        return [seal.opened(memory) for memory in memories]

    def revise(
        self, scope: Scope, id: str, revision: Revision, *, expected_version: int | None, generation: int | None
    ) -> Memory:
        seal = _Seal(self._keys.made(_subject(scope)))
        memory = self._log.revise(
            scope, id, seal.revision(revision), expected_version=expected_version, generation=generation
        )
        return seal.opened(memory)

    def restore(self, scope: Scope, id: str, *, version: int | None, reason: str | None) -> Memory:
        seal = _Seal(self._keys.made(_subject(scope)))
        sealed = None if reason is None else seal.text(reason)
        return seal.opened(self._log.restore(scope, id, version=version, reason=sealed))

    def erase(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        mode: ForgetMode,
        dry_run: bool = False,
        request: ErasureRequest | None = None,
    ) -> Erasure:
        return self._log.erase(scope, ids, mode=mode, dry_run=dry_run, request=request)

    def erase_everything(
        self, scope: Scope, *, dry_run: bool = False, request: ErasureRequest | None = None
    ) -> Erasure:
        erasure = self._log.erase_everything(scope, dry_run=dry_run, request=request)
        if dry_run:
            return erasure
        is_destroyed = self._keys.destroy(_subject(scope))
        return replace(erasure, rows={**erasure.rows, "key": int(is_destroyed)})

    def resume(self) -> list[Erasure]:
        return self._log.resume()

    def settle(self, decide: Settle, *, limit: int = 100) -> int:
        def decided(facts: Sequence[Memory]) -> Mapping[str, Standing]:
            return decide(self._opened(facts))

        return self._log.settle(decided, limit=limit)

    def put_vectors(self, generation: int, embedded: Sequence[Embedded]) -> None:
        self._log.put_vectors(generation, [self._embedded(each) for each in embedded])

    # --- reads

    def read(self, query: LogQuery) -> list[Memory]:
        if query.source is not None or query.origin is not None:
            key = self._keys.of(_subject(query.scope))
            if key is None:
                return []
            seal = _Seal(key)
            query = replace(query, source=_each(query.source, seal.text), origin=_each(query.origin, seal.text))
        return self._opened(self._log.read(query))

    def history(self, scope: Scope, id: str) -> list[Memory]:
        return self._opened(self._log.history(scope, id))

    def changes(self, scope: Scope, start: datetime, end: datetime) -> list[Memory]:
        return self._opened(self._log.changes(scope, start, end))

    def index_rows(self, query: IndexQuery) -> IndexBatch:
        batch = self._log.index_rows(query)
        seal = self._seal_of(query.partition)
        if seal is None:
            return IndexBatch(batch.seq, (), batch.gone)
        rows = [opened for row in batch.rows if (opened := seal.opened_row(row)) is not None]
        vectors = {
            row: (number, vector)
            for row, (number, sealed) in batch.vectors.items()
            if (vector := seal.opened_bytes(sealed)) is not None
        }
        return replace(batch, rows=rows, vectors=vectors)

    def vectors(self, scope: Scope, rows: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        found = self._log.vectors(scope, rows)
        seals = {partition: self._seal_of(partition) for partition, _ in found}
        return {
            place: opened
            for place, vector in found.items()
            if (seal := seals[place[0]]) is not None and (opened := seal.opened_bytes(vector)) is not None
        }

    def without_vector(self, head: Head, generation: int, *, after: int, limit: int) -> list[tuple[int, Memory]]:
        found = self._log.without_vector(head, generation, after=after, limit=limit)
        opened = {memory.id: memory for memory in self._opened([memory for _, memory in found])}
        return [(row, opened[memory.id]) for row, memory in found if memory.id in opened]

    # --- what holds no words

    def hold(self, scope: Scope, *, reason: str) -> Hold:
        return self._log.hold(scope, reason=reason)

    def release(self, scope: Scope) -> bool:
        return self._log.release(scope)

    def holds(self, scope: Scope) -> list[Hold]:
        return self._log.holds(scope)

    def receipts(self, scope: Scope) -> list[Receipt]:
        return self._log.receipts(scope)

    def unfinished_receipts(self) -> list[tuple[Receipt, Erasure]]:
        return self._log.unfinished_receipts()

    def close_receipt(self, receipt: Receipt) -> Receipt:
        return self._log.close_receipt(receipt)

    def tasks(self, job: str, *, limit: int = 100) -> list[Task]:
        return self._log.tasks(job, limit=limit)

    def finish(self, task: Task) -> None:
        self._log.finish(task)

    def note_uses(self, uses: Sequence[Use]) -> None:
        self._log.note_uses(uses)

    def overdue(self, head: Head, *, at: datetime, outlived: Sequence[Outlived], limit: int) -> list[str]:
        return self._log.overdue(head, at=at, outlived=outlived, limit=limit)

    def files(self) -> Sequence[Path]:
        return self._log.files()

    def copies(self, contents: Sequence[str]) -> Mapping[str, int]:
        return {}  # no row holds any content in the clear

    def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        return self._log.tombstoned(scope, ids)

    def has_forgotten(self, scope: Scope) -> bool:
        return self._log.has_forgotten(scope)

    def partitions_of(self, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
        return self._log.partitions_of(scope, ids)

    def heads(self, scope: Scope) -> list[Head]:
        return self._log.heads(scope)

    def all_heads(self) -> list[Head]:
        return self._log.all_heads()

    def generation(self) -> Generation | None:
        return self._log.generation()

    def start_generation(self, fingerprint: str, dimensions: int, embedder: str) -> Generation:
        return self._log.start_generation(fingerprint, dimensions, embedder)

    def cursor(self, index: str, generation: int, partition: int) -> int:
        return self._log.cursor(index, generation, partition)

    def move_cursor(self, index: str, generation: int, partition: int, seq: int) -> None:
        self._log.move_cursor(index, generation, partition, seq)

    def counts(self) -> Mapping[str, Any]:
        return self._log.counts()

    def check(self, *, deep: bool = False) -> list[Finding]:
        subjects = {_subject_of(head) for head in self._log.all_heads()}
        lost = sum(self._keys.of(subject) is None for subject in subjects)
        detail = f"{lost} of {len(subjects)} people have no key: their memories cannot be read" if lost else "all there"
        remedy = "Forget them again, or bring back the folder of the keys if it was lost." if lost else ""
        return [*self._log.check(deep=deep), Finding("keys", not lost, detail, remedy)]

    def repair(self) -> list[str]:
        return self._log.repair()

    def purge_traces(self) -> tuple[str, ...]:
        return self._log.purge_traces()

    def close(self) -> None:
        self._log.close()

    # --- how

    def _opened(self, memories: Iterable[Memory]) -> list[Memory]:
        """The memories in the clear; those of people whose key was destroyed are not there."""
        seals: dict[Subject, _Seal | None] = {}
        opened: list[Memory] = []
        for memory in memories:
            subject = _subject(memory.scope)
            if subject not in seals:
                key = self._keys.of(subject)
                seals[subject] = None if key is None else _Seal(key)
            seal = seals[subject]
            if seal is not None and seal.fits(memory.content):
                opened.append(seal.opened(memory))
        return opened

    def _embedded(self, embedded: Embedded) -> Embedded:
        seal = self._seal_of(embedded.partition)
        if seal is None or embedded.vector is None:
            return replace(embedded, vector=None)
        return replace(embedded, vector=seal.blob(embedded.vector))

    def _seal_of(self, partition: int) -> _Seal | None:
        if partition not in self._subjects:
            # A partition's number is never used again, so what was learned stays true.
            self._subjects |= {head.partition: _subject_of(head) for head in self._log.all_heads()}
        subject = self._subjects.get(partition)
        key = None if subject is None else self._keys.of(subject)
        return None if key is None else _Seal(key)


class _Seal:
    """Seals and opens with one key. A sealed text says which key it takes."""

    def __init__(self, key: Key) -> None:
        self._cipher = _cipher(key.secret)
        self._mark = f"{_MARK}{key.name}:"
        self._mark_bytes = self._mark.encode()

    def fits(self, text: str) -> bool:
        """False for what was sealed with a key that is gone."""
        return text.startswith(self._mark)

    def text(self, text: str) -> str:
        return self._mark + base64.urlsafe_b64encode(self._cipher.encrypt(text.encode(), None)).decode()

    def blob(self, blob: bytes) -> bytes:
        return self._mark_bytes + self._cipher.encrypt(blob, None)

    def draft(self, draft: Draft) -> Draft:
        return replace(
            draft,
            content=self.text(draft.content),
            speaker=_each(draft.speaker, self.text),
            metadata=self._metadata(draft.metadata),
            affect=_each(draft.affect, self._affect),
            source=_each(draft.source, self._source),
            terms=self.blob(draft.terms),
            vector=_each(draft.vector, self.blob),
            fact=_each(draft.fact, self._fact),
            origin=_each(draft.origin, self.text),
            reason=_each(draft.reason, self.text),
        )

    def revision(self, revision: Revision) -> Revision:
        sealed: dict[str, Any] = {"reason": _each(revision.reason, self.text)}
        if not isinstance(revision.content, Unset):
            sealed |= {
                "content": self.text(revision.content),
                "terms": self.blob(revision.terms),
                "vector": _each(revision.vector, self.blob),
            }
        for field, seal in (
            ("metadata", self._metadata),
            ("affect", self._affect),
            ("source", self._source),
            ("fact", self._fact),
        ):
            value = getattr(revision, field)
            if not isinstance(value, Unset):
                sealed[field] = _each(value, seal)
        return replace(revision, **sealed)

    def opened(self, memory: Memory) -> Memory:
        return replace(
            memory,
            content=self._open(memory.content),
            speaker=_each(memory.speaker, self._open),
            metadata=self._open_metadata(memory.metadata),
            affect=_each(memory.affect, self._open_affect),
            source=_each(memory.source, self._open_source),
            fact=_each(memory.fact, self._open_fact),
            origin=_each(memory.origin, self._open),
            reason=_each(memory.reason, self._open),
        )

    def opened_row(self, row: IndexRow) -> IndexRow | None:
        terms = self.opened_bytes(row.terms)
        if terms is None:
            return None
        return row._replace(
            speaker=_each(row.speaker, self._open),
            source=_each(row.source, self._open),
            metadata=json.dumps(self._open_metadata(json.loads(row.metadata)), ensure_ascii=False),
            terms=terms,
            affect=_each(row.affect, self._open_affect_json),
            fact=_each(row.fact, self._open_fact_json),
            origin=_each(row.origin, self._open),
            vector=_each(row.vector, self.opened_bytes),
        )

    def opened_bytes(self, blob: bytes) -> bytes | None:
        """The bytes in the clear; None for what was sealed with a key that is gone."""
        if not blob.startswith(self._mark_bytes):
            return None
        return self._decrypt(blob[len(self._mark_bytes) :])

    def _open(self, sealed: str) -> str:
        if not self.fits(sealed):
            raise CorruptRecord("A sealed text does not fit its owner's key.", hint="Restore it from a backup.")
        return self._decrypt(base64.urlsafe_b64decode(sealed[len(self._mark) :])).decode()

    def _decrypt(self, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed, None)
        except InvalidTag as error:
            raise CorruptRecord("A sealed text was changed.", hint="Restore it from a backup.") from error

    def _metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        return {_MARK: self.text(json.dumps(metadata, ensure_ascii=False))} if metadata else {}

    def _open_metadata(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        opened: dict[str, Any] = json.loads(self._open(metadata[_MARK])) if metadata else {}
        return opened

    def _affect(self, affect: Affect) -> Affect:
        return replace(_NOTHING, label=self.text(json.dumps([affect.valence, affect.arousal, affect.label])))

    def _open_affect(self, affect: Affect) -> Affect:
        return Affect(*json.loads(self._open(affect.label or "")))

    def _open_affect_json(self, text: str) -> str:
        opened = self._open_affect(Affect(**json.loads(text)))
        return json.dumps({"valence": opened.valence, "arousal": opened.arousal, "label": opened.label})

    def _source(self, source: Source) -> Source:
        return replace(source, name=self.text(source.name), headings=tuple(map(self.text, source.headings)))

    def _open_source(self, source: Source) -> Source:
        return replace(source, name=self._open(source.name), headings=tuple(map(self._open, source.headings)))

    def _fact(self, fact: Fact) -> Fact:
        # The names as they were written travel with the value: the log tells facts apart by names however written.
        stated = [fact.subject, fact.attribute, fact.topic, fact.value]
        return replace(
            fact,
            subject=self._folded(fact.subject),
            attribute=self._folded(fact.attribute),
            topic=_each(fact.topic, self._folded),
            value=self.text(json.dumps(stated, ensure_ascii=False)),
        )

    def _folded(self, name: str) -> str:
        return self._cipher.encrypt(" ".join(name.casefold().split()).encode(), None).hex()

    def _open_fact(self, fact: Fact) -> Fact:
        subject, attribute, topic, value = json.loads(self._open(fact.value))
        return replace(fact, subject=subject, attribute=attribute, topic=topic, value=value)

    def _open_fact_json(self, text: str) -> str:
        stored: dict[str, Any] = json.loads(text)
        names = ("subject", "attribute", "topic", "value")
        return json.dumps(stored | dict(zip(names, json.loads(self._open(stored["value"])), strict=True)))


def _subject(scope: Scope) -> Subject:
    if scope.user is not None:
        return scope.tenant, "user", scope.user
    assert scope.agent is not None
    return scope.tenant, "agent", scope.agent


def _subject_of(head: Head) -> Subject:
    return _subject(Scope(user=head.user, agent=head.agent, tenant=head.tenant))


def _each(value: Any, change: Callable[[Any], T]) -> T | None:
    return None if value is None else change(value)


def _cipher(secret: bytes) -> AESSIV:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

    return AESSIV(secret)


def _require_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "A sealed log needs the package cryptography.", hint='pip install "pyagentmem[sealed]"'
        ) from error
