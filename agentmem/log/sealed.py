"""A log whose words are sealed with a key per person: destroying the key forgets them in every backup too.

Content, metadata, names, facts, reasons of versions, idempotency keys, token bags and vectors are sealed before they
reach the database (AES-256-SIV, RFC 5297, which seals the same text the same way, so that idempotency and documents
still recognise it) and opened on their way out. Search happens in memory over what was opened. Ids, and sessions of an
import, that were made from words are sealed with a key of the log's own, because tombstones must outlive the person's.

In the clear stay:

- who: ids of tenants, people, agents and sessions; ids that the log made, and which memory was made from which
- when: every time there is; versions, their order, and who wrote each (``caller``, ``extractor:rules``)
- what kind of thing: kind, role, integrity, importance, whether there is affect, a fact's polarity, span and count,
  a chunk's place in its document, accesses and outcomes
- how much: lengths, in bytes and in words; and that two texts of one person are equal
- what operators say: reasons of holds, and reasons and names of who asked in receipts

What it costs is measured by ``bench/sealed.py``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sqlalchemy import Connection, func, select, text

from agentmem.clock import Clock, utc_now
from agentmem.errors import AgentMemError, BackendError, ConfigError, CorruptRecord, StoreBusy
from agentmem.interfaces import (
    Embedded,
    Erasure,
    ErasureRequest,
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
from agentmem.log import settings, tasks
from agentmem.log.erasing import Desk
from agentmem.log.journal import Page
from agentmem.log.keyring import MASTER_KEY_VARIABLE, OF_THE_LOG, Key, KeyRing, Subject, master_key, place_of
from agentmem.log.schema import version
from agentmem.log.sql import SEALED, SQLLog
from agentmem.records import Affect, Draft, Fact, Finding, ForgetMode, Memory, Receipt, Scope, Source, Unset

if TYPE_CHECKING:
    from collections import Counter

    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

T = TypeVar("T")

_MARK: Final = "sealed:"
_NOTHING: Final = Affect()
_CONDEMNED: Final = "condemned_key:"
"""Settings that begin so name a key to destroy (its place, its own name); the value is the request's id."""
_SUBJECT_LOCK: Final = 0x61676D6B  # "agmk"
_MADE_BY_THE_LOG: Final = re.compile("[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}")
_MADE_BY_IMPORTS: Final = "import:"


class _KeyGoneError(StoreBusy):
    """The key that something was sealed with is destroyed, or about to be."""


class SealedLog(SQLLog):
    """A SQL log that keeps only sealed words.

    Args:
        url: As for ``SQLLog``, and so are the others that are not named here.
        keys: The folder of the keys; keep it out of the database's backups.
        master_key_variable: The environment variable whose key wraps the others; unset in the environment = bare keys.

    Raises:
        ConfigError: the package ``cryptography`` is missing; the folder or the master key is not the one that the log
            was sealed with; or the database holds memories in the clear.
    """

    is_sealed = True

    def __init__(
        self,
        url: str = "sqlite:///agentmem.db",
        *,
        keys: str | Path,
        master_key_variable: str = MASTER_KEY_VARIABLE,
        tombstone_key_file: str | Path | None = None,
        journal_file: str | Path | None = None,
        accept_missing_journal: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        _require_cryptography()
        self._keys = KeyRing(keys, master_key=master_key(master_key_variable))
        self._owners: dict[int, Subject] = {}
        super().__init__(
            url,
            tombstone_key_file=tombstone_key_file,
            journal_file=journal_file,
            accept_missing_journal=accept_missing_journal,
            clock=clock,
        )

    # --- writes

    def append(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        generation: int | None,
        replacing: frozenset[str] = frozenset(),
    ) -> list[Memory]:
        try:
            return self._append(scope, drafts, generation=generation, replacing=replacing)
        except _KeyGoneError:
            # That this person is forgotten is decided, whoever carries it out; what comes now begins anew.
            self._destroy_condemned()
            return self._append(scope, drafts, generation=generation, replacing=replacing)

    def revise(
        self, scope: Scope, id: str, revision: Revision, *, expected_version: int | None, generation: int | None
    ) -> Memory:
        seal = self._made_seal(scope)
        with self._in_the_clear(seal):
            return seal.opened(
                super().revise(
                    scope,
                    self._names.sealed(id),
                    seal.revision(revision),
                    expected_version=expected_version,
                    generation=generation,
                )
            )

    def restore(self, scope: Scope, id: str, *, version: int | None, reason: str | None) -> Memory:
        seal = self._made_seal(scope)
        with self._in_the_clear(seal):
            sealed = _each(reason, seal.text)
            return seal.opened(super().restore(scope, self._names.sealed(id), version=version, reason=sealed))

    def erase(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        mode: ForgetMode,
        dry_run: bool = False,
        request: ErasureRequest | None = None,
    ) -> Erasure:
        with self._in_the_clear():
            return super().erase(scope, self._names.all_sealed(ids), mode=mode, dry_run=dry_run, request=request)

    def resume(self) -> list[Erasure]:
        self._try_to_destroy_condemned()
        return super().resume()

    def close_receipt(self, receipt: Receipt) -> Receipt:
        if receipt.status == "done":
            self._destroy_condemned(by=receipt.id)
        # Receipts outlive what they speak of. The ids in them are accepted as they stand there.
        return super().close_receipt(replace(receipt, similar=self._names.all_sealed(receipt.similar)))

    def settle(self, decide: Settle, *, limit: int = 100) -> int:
        def decided(facts: Sequence[Memory]) -> Mapping[str, Standing]:
            standings = decide(self._opened(facts))
            return {self._names.sealed(id): self._names.sealed_standing(each) for id, each in standings.items()}

        return super().settle(decided, limit=limit)

    def put_vectors(self, generation: int, embedded: Sequence[Embedded]) -> None:
        super().put_vectors(generation, [self._embedded(each) for each in embedded])

    def note_uses(self, uses: Sequence[Use]) -> None:
        super().note_uses([replace(use, id=self._names.sealed(use.id)) for use in uses])

    # --- reads

    def read(self, query: LogQuery) -> list[Memory]:
        query = self._names.query(query)
        if query.source is None and query.origin is None:
            return self._read(query)
        # Each owner's names are sealed with the owner's own key.
        queries = [
            replace(query, source=_each(query.source, seal.text), origin=_each(query.origin, seal.text))
            for seal in self._seals_of(query.scope)
        ]
        found = [memory for each in queries for memory in self._read(each)]
        if len(queries) > 1:
            found.sort(key=self._places(query.scope))
        return found[: query.limit]

    def history(self, scope: Scope, id: str) -> list[Memory]:
        with self._in_the_clear():
            return self._opened(super().history(scope, self._names.sealed(id)))

    def changes(self, scope: Scope, start: datetime, end: datetime) -> list[Memory]:
        return self._opened(super().changes(scope, start, end))

    def index_rows(self, query: IndexQuery) -> IndexBatch:
        batch = super().index_rows(query)
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
        found = super().vectors(scope, rows)
        seals = {partition: self._seal_of(partition) for partition, _ in found}
        return {
            place: opened
            for place, vector in found.items()
            if (seal := seals[place[0]]) is not None and (opened := seal.opened_bytes(vector)) is not None
        }

    def without_vector(self, head: Head, generation: int, *, after: int, limit: int) -> list[tuple[int, Memory]]:
        readable: list[tuple[int, Memory]] = []
        while len(readable) < limit:
            found = super().without_vector(head, generation, after=after, limit=limit)
            readable += [(row, opened) for row, memory in found for opened in self._opened([memory])]
            if len(found) < limit:
                break
            after = found[-1][0]
        return readable[:limit]

    def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        by_sealed = {self._names.sealed(id): id for id in ids}
        return frozenset(by_sealed[each] for each in super().tombstoned(scope, list(by_sealed)))

    def has_forgotten(self, scope: Scope) -> bool:
        return super().has_forgotten(replace(scope, session=_each(scope.session, self._names.sealed_session)))

    def mark_private(self, scope: Scope) -> None:
        super().mark_private(replace(scope, session=_each(scope.session, self._names.sealed_session)))

    def partitions_of(self, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
        found = super().partitions_of(scope, self._names.all_sealed(ids))
        return {id: found[sealed] for id in ids if (sealed := self._names.sealed(id)) in found}

    def overdue(self, head: Head, *, at: datetime, outlived: Sequence[Outlived], limit: int) -> list[str]:
        return [self._names.opened(id) for id in super().overdue(head, at=at, outlived=outlived, limit=limit)]

    def tasks(self, job: str, *, limit: int = 100) -> list[Task]:
        found = super().tasks(job, limit=limit)
        return found if job == tasks.SETTLE else [replace(each, key=self._names.opened(each.key)) for each in found]

    def finish(self, task: Task) -> None:
        is_of_session = task.job != tasks.SETTLE
        super().finish(replace(task, key=self._names.sealed_session(task.key)) if is_of_session else task)

    def copies(self, contents: Sequence[str]) -> Mapping[str, int]:
        return dict.fromkeys(contents, 0)  # no row holds any content in the clear

    def check(self, *, deep: bool = False) -> list[Finding]:
        heads = self.all_heads()
        keys = {subject: self._keys.of(subject) for subject in map(_subject_of, heads)}
        lost = sum(key is None for key in keys.values())
        found = [f"{lost} of {len(keys)} people have no key: their memories cannot be read"] if lost else []
        unread = sum(self._versions_not_of(keys[_subject_of(head)], head) for head in heads) if deep else 0
        found += [f"{unread} versions are sealed with keys that are gone"] if unread else []
        remedy = "Forget them again, or bring back the folder of the keys if it was lost." if found else ""
        return [*super().check(deep=deep), Finding("keys", not found, "; ".join(found) or "all there", remedy)]

    # --- what SQLLog leaves to us

    def _require_readable(self) -> None:
        with self._database.reading() as connection:
            mark = settings.read(connection, SEALED)
            is_empty = connection.execute(select(version.c.seq).limit(1)).first() is None
        if mark is None and not is_empty:
            raise ConfigError(
                f"{self.place} holds memories in the clear, which a sealed log does not mix with its own.",
                hint="Export them from the open log, and import them into a sealed one at another place.",
            )
        # What a wrong master key cannot unwrap shows here, and not in the middle of the work.
        key = self._keys.made(OF_THE_LOG) if mark is None else self._keys.of(OF_THE_LOG)
        if mark is None and key is not None:
            mark = settings.settled(self._database, SEALED, unset=key.name.encode())
        if key is None or mark != key.name.encode():
            raise ConfigError(
                f"{self.place} was sealed with other keys than those in {self._keys.folder}.",
                hint="Name the folder that it was sealed with: keys=…",
            )
        self._names = _Names(key)

    def _admit(self, connection: Connection, scope: Scope, drafts: Sequence[Draft]) -> None:
        if not drafts:
            return
        subject = _subject(scope)
        _lock_subject(connection, subject, shared=True)
        key = self._keys.of(subject)
        is_ours = key is not None and drafts[0].content.startswith(_mark(key))
        if key is None or not is_ours or settings.read(connection, _order(subject, key)) is not None:
            raise _KeyGoneError(f"Everything of {scope} is being forgotten; nothing was written.", hint="Try again.")

    def _desk(self, connection: Connection, page: Page) -> Desk:
        return _SealedDesk(connection, page, self._key, self._clock, self._keys)

    def _erase_doomed(self, partitions: Sequence[int]) -> Counter[str]:
        self._try_to_destroy_condemned()
        return super()._erase_doomed(partitions)

    # --- how

    def _append(
        self, scope: Scope, drafts: Sequence[Draft], *, generation: int | None, replacing: frozenset[str]
    ) -> list[Memory]:
        seal = self._made_seal(scope)
        with self._in_the_clear(seal):
            memories = super().append(
                scope,
                [seal.draft(draft) for draft in drafts],
                generation=generation,
                replacing=frozenset(map(seal.text, replacing)),
            )
        return [seal.opened(memory) for memory in memories]

    def _read(self, query: LogQuery) -> list[Memory]:
        """The readable ones; what cannot be opened any more takes no place on a page."""
        found = super().read(query)
        opened = self._opened(found)
        if query.limit is None or len(found) < query.limit or len(opened) == len(found):
            return opened
        rest = replace(query, after=self._places(query.scope)(found[-1]), limit=query.limit - len(opened))
        return opened + self._read(rest)

    def _places(self, scope: Scope) -> Callable[[Memory], tuple[int, int]]:
        """From a memory that the scope reads to its partition and position."""
        partitions = {(head.user, head.agent): head.partition for head in self.heads(scope)}
        return lambda memory: (partitions.get((memory.scope.user, memory.scope.agent), 0), memory.position)

    def _opened(self, memories: Iterable[Memory]) -> list[Memory]:
        """The memories in the clear; those of people whose key was destroyed are not there."""
        seals: dict[Subject, _Seal | None] = {}
        opened: list[Memory] = []
        for memory in memories:
            subject = _subject(memory.scope)
            if subject not in seals:
                seals[subject] = self._seal(subject)
            seal = seals[subject]
            if seal is not None and seal.fits(memory.content):
                opened.append(seal.opened(memory))
        return opened

    def _embedded(self, embedded: Embedded) -> Embedded:
        seal = self._seal_of(embedded.partition)
        if seal is None or embedded.vector is None:
            return replace(embedded, vector=None)
        return replace(embedded, vector=seal.blob(embedded.vector))

    def _made_seal(self, scope: Scope) -> _Seal:
        return _Seal(self._keys.made(_subject(scope)), self._names)

    def _seal(self, subject: Subject) -> _Seal | None:
        key = self._keys.of(subject)
        return None if key is None else _Seal(key, self._names)

    def _seals_of(self, scope: Scope) -> list[_Seal]:
        """The seals of everybody whose memories the scope reads."""
        owners = {_subject(scope), _subject(replace(scope, user=None)) if scope.agent else _subject(scope)}
        return [seal for subject in sorted(owners) if (seal := self._seal(subject)) is not None]

    def _seal_of(self, partition: int) -> _Seal | None:
        if partition not in self._owners:
            # A partition's number is never used again, so what was learned stays true.
            self._owners |= {head.partition: _subject_of(head) for head in self.all_heads()}
        subject = self._owners.get(partition)
        return None if subject is None else self._seal(subject)

    def _versions_not_of(self, key: Key | None, head: Head) -> int:
        statement = select(func.count()).where(version.c.partition_id == head.partition)
        if key is not None:
            statement = statement.where(~version.c.content.startswith(_mark(key), autoescape=True))
        with self._reading() as connection:
            return connection.execute(statement).scalar_one()

    def _destroy_condemned(self, *, by: str | None = None) -> None:
        """Destroy every key that is to be destroyed, or those of one request."""
        with self._reading() as connection:
            orders = settings.beginning_with(connection, _CONDEMNED)
        for order in (name for name, request in orders.items() if by in (None, request.decode())):
            _, place, name = order.split(":")
            self._keys.destroy(place, name)
            with self._writing() as connection:
                settings.write(connection, order, None)

    def _try_to_destroy_condemned(self) -> None:
        # Rows must not stay because a key does: the order for it stands, and close_receipt insists on it.
        with suppress(BackendError, StoreBusy):
            self._destroy_condemned()

    @contextmanager
    def _in_the_clear(self, seal: _Seal | None = None) -> Iterator[None]:
        """Errors name what the caller named, not what is kept in its place."""
        try:
            yield
        except AgentMemError as error:
            for cipher in (self._names, seal):
                if cipher is not None:
                    error.message = cipher.opened_within(error.message)
            error.args = (f"{error.message} {error.hint}" if error.hint else error.message,)
            raise


@dataclass(frozen=True)
class _SealedDesk(Desk):
    """A desk whose dooms are dooms of a key too, ordered in their own transaction."""

    keys: KeyRing

    def condemn(self, owner: Mapping[str, str], by: str, *, among: Sequence[int] | None = None) -> int:
        subject = _subject_at(owner)
        _lock_subject(self.connection, subject, shared=False)
        key = self.keys.of(subject)
        if key is None or (among is not None and not self._is_used(key, among)):
            return 0
        settings.write(self.connection, _order(subject, key), by.encode())
        return 1

    def _is_used(self, key: Key, partitions: Sequence[int]) -> bool:
        sealed = version.c.content.startswith(_mark(key), autoescape=True)
        used = select(version.c.seq).where(version.c.partition_id.in_(partitions), sealed).limit(1)
        return self.connection.execute(used).first() is not None


class _Cipher:
    """Seals and opens with one key. What is sealed says which key it takes."""

    def __init__(self, key: Key) -> None:
        self._cipher = _cipher(key.secret)
        self._mark = _mark(key)
        self._mark_bytes = self._mark.encode()

    def fits(self, text: str) -> bool:
        """False for what was sealed with a key that is gone."""
        return text.startswith(self._mark)

    def text(self, text: str) -> str:
        return self._mark + base64.urlsafe_b64encode(self._cipher.encrypt(text.encode(), None)).decode()

    def blob(self, blob: bytes) -> bytes:
        return self._mark_bytes + self._cipher.encrypt(blob, None)

    def opened_bytes(self, blob: bytes) -> bytes | None:
        """The bytes in the clear; None for what was sealed with a key that is gone."""
        if not blob.startswith(self._mark_bytes):
            return None
        return self._decrypt(blob[len(self._mark_bytes) :])

    def opened_within(self, message: str) -> str:
        """The message with what this has sealed in it in the clear."""
        return re.sub(f"{re.escape(self._mark)}[A-Za-z0-9_=-]+", lambda found: self._open(found[0]), message)

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


class _Names(_Cipher):
    """Seals names that callers made from words, with the log's own key.

    An id that is a hash of words (a fact's, an imported turn's) would let anybody confirm a guess at them. Ids that the
    log made say nothing and stay; so does what is sealed already.
    """

    def sealed(self, id: str) -> str:
        return id if _MADE_BY_THE_LOG.fullmatch(id) or self._is_sealed(id) else self.text(id)

    def all_sealed(self, ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(map(self.sealed, ids))

    def sealed_session(self, session: str) -> str:
        return self.text(session) if session.startswith(_MADE_BY_IMPORTS) else session

    def sealed_standing(self, standing: Standing) -> Standing:
        return replace(
            standing,
            superseded_by=_each(standing.superseded_by, self.sealed),
            restates=_each(standing.restates, self.sealed),
        )

    def opened(self, name: str) -> str:
        return self._open(name) if self.fits(name) else name

    def query(self, query: LogQuery) -> LogQuery:
        return replace(
            query,
            ids=_each(query.ids, self.all_sealed),
            derived_from=_each(query.derived_from, self.all_sealed),
            same_key=_each(query.same_key, self.all_sealed),
            session=_each(query.session, self.sealed_session),
        )

    def _is_sealed(self, id: str) -> bool:
        if not self.fits(id):
            return False
        try:
            return bool(self._open(id))
        except (CorruptRecord, ValueError):
            return False


class _Seal(_Cipher):
    """Seals and opens what is one person's, or one agent's own."""

    def __init__(self, key: Key, names: _Names) -> None:
        super().__init__(key)
        self._names = names

    def draft(self, draft: Draft) -> Draft:
        return replace(
            draft,
            id=_each(draft.id, self._names.sealed),
            content=self.text(draft.content),
            speaker=_each(draft.speaker, self.text),
            session=_each(draft.session, self._names.sealed_session),
            metadata=self._metadata(draft.metadata),
            affect=_each(draft.affect, self._affect),
            idempotency_key=_each(draft.idempotency_key, self.text),
            derived_from=self._names.all_sealed(draft.derived_from),
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
        session = memory.scope.session
        scope = replace(memory.scope, session=self._names.opened(session)) if session else memory.scope
        return replace(
            memory,
            id=self._names.opened(memory.id),
            scope=scope,
            content=self._open(memory.content),
            speaker=_each(memory.speaker, self._open),
            metadata=self._open_metadata(memory.metadata),
            affect=_each(memory.affect, self._open_affect),
            idempotency_key=_each(memory.idempotency_key, self._open),
            derived_from=tuple(map(self._names.opened, memory.derived_from)),
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
            id=self._names.opened(row.id),
            speaker=_each(row.speaker, self._open),
            session=_each(row.session, self._names.opened),
            source=_each(row.source, self._open),
            metadata=json.dumps(self._open_metadata(json.loads(row.metadata)), ensure_ascii=False),
            terms=terms,
            affect=_each(row.affect, self._open_affect_json),
            fact=_each(row.fact, self._open_fact_json),
            restates=_each(row.restates, self._names.opened),
            derived_from=_each(row.derived_from, self._open_ids_json),
            origin=_each(row.origin, self._open),
            vector=_each(row.vector, self.opened_bytes),
        )

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
            superseded_by=_each(fact.superseded_by, self._names.sealed),
            restates=_each(fact.restates, self._names.sealed),
        )

    def _folded(self, name: str) -> str:
        return self._cipher.encrypt(" ".join(name.casefold().split()).encode(), None).hex()

    def _open_fact(self, fact: Fact) -> Fact:
        return replace(fact, **self._opened_within_fact(fact.value, fact.superseded_by, fact.restates))

    def _open_fact_json(self, text: str) -> str:
        stored: dict[str, Any] = json.loads(text)
        opened = self._opened_within_fact(stored["value"], stored["superseded_by"], stored["restates"])
        return json.dumps(stored | opened)

    def _opened_within_fact(self, value: str, superseded_by: str | None, restates: str | None) -> dict[str, Any]:
        names = ("subject", "attribute", "topic", "value")
        return {
            **dict(zip(names, json.loads(self._open(value)), strict=True)),
            "superseded_by": _each(superseded_by, self._names.opened),
            "restates": _each(restates, self._names.opened),
        }

    def _open_ids_json(self, text: str) -> str:
        return json.dumps([self._names.opened(id) for id in json.loads(text)])


def _subject(scope: Scope) -> Subject:
    if scope.user is not None:
        return scope.tenant, "user", scope.user
    assert scope.agent is not None
    return scope.tenant, "agent", scope.agent


def _subject_of(head: Head) -> Subject:
    return _subject(Scope(user=head.user, agent=head.agent, tenant=head.tenant))


def _subject_at(owner: Mapping[str, str]) -> Subject:
    return _subject(Scope(user=owner["user_id"] or None, agent=owner["agent_id"] or None, tenant=owner["tenant"]))


def _mark(key: Key) -> str:
    return f"{_MARK}{key.name}:"


def _order(subject: Subject, key: Key) -> str:
    """The setting that says that this key is to be destroyed: it names no person, and no key that comes after it."""
    return f"{_CONDEMNED}{place_of(subject)}:{key.name}"


def _lock_subject(connection: Connection, subject: Subject, *, shared: bool) -> None:
    """Let nobody begin to forget the subject while something of it is being written, and the other way round."""
    # SQLite has one writer at a time anyway.
    if connection.dialect.name == "postgresql":
        place = int.from_bytes(hashlib.blake2b(repr(subject).encode(), digest_size=4).digest(), "big", signed=True)
        lock = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        connection.execute(text(f"SELECT {lock}(:what, :place)"), {"what": _SUBJECT_LOCK, "place": place})


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
