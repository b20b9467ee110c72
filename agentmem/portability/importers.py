"""Taking memories in: what kind of file it is, whom to trust, what is new, and what could not be taken.

What an export brings is told as it was, version by version, but recorded now: ``known_at`` looks back no further than
the import. A fact comes as it last was; what supersedes what is worked out anew.

Importing the same file twice stores nothing twice: every turn has an id that follows from the file's own ids (or its
words) and the scope, so what is there is recognised, and what was forgotten stays out. A document is known by its path
as it was given: imported again under the same path it replaces what changed.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final, Protocol, cast

from agentmem.errors import AgentMemError, IdempotencyConflict, InvalidInput, MemoryNotFound
from agentmem.interfaces import EpisodicLog, LogQuery
from agentmem.lifecycle.drafting import completed
from agentmem.portability import bundle, conversations, documents
from agentmem.portability.found import Findings, Found, FoundDocument, FoundHistory, FoundTurn, Problem, Skipped
from agentmem.records import (
    INTEGRITIES,
    TRUSTED,
    UNSET,
    Affect,
    Document,
    Draft,
    Integrity,
    Memory,
    Scope,
    Turn,
    Unset,
)
from agentmem.registry import did_you_mean

DECLARED: Final = "declared"
MAX_LISTED_PROBLEMS: Final = 1_000

_BATCH: Final = 500
_MAX_UNPACKED_BYTES: Final = 4 << 30
_MAX_RATIO: Final = 200

Progress = Callable[[int, int], None]
"""Called with (bytes read, bytes there are) as it goes."""


class Library(Protocol):
    """What an import writes into."""

    @property
    def log(self) -> EpisodicLog: ...

    def drafts(self, items: Iterable[Turn | Document], /, *, scope: Scope) -> Sequence[Draft]: ...

    def store_drafts(self, drafts: Sequence[Draft], /, *, scope: Scope) -> Sequence[Memory]: ...

    def store_many(self, items: Iterable[Turn | Document], /, *, scope: Scope) -> Sequence[Memory]: ...

    def update(
        self,
        id: str,
        /,
        *,
        scope: Scope,
        content: str,
        metadata: Mapping[str, Any],
        importance: float | None,
        affect: Affect | Unset,
        valid_from: datetime,
        valid_to: datetime | None,
        expires_at: datetime | None,
        reason: str | None,
        expected_version: int,
    ) -> Memory: ...


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Args:
        stored: Memories that are new; a document counts as one, here and below.
        replaced: Documents that were there under the same path with another text.
        unchanged: What was there already.
        skipped: What holds no words to keep, reason to count; and the ``earlier versions`` of memories of which only
            the last could be taken.
        tombstoned: Those that were forgotten here, and stay so.
        problems: Records that could not be taken, at most 1,000 of them.
        unlisted: Problems beyond those.
    """

    stored: int
    unchanged: int
    skipped: Mapping[str, int]
    tombstoned: int
    problems: tuple[Problem, ...]
    unlisted: int = 0
    replaced: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "stored": self.stored,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "skipped": dict(self.skipped),
            "tombstoned": self.tombstoned,
            "problems": [{"place": problem.place, "reason": problem.reason} for problem in self.problems],
            "unlisted": self.unlisted,
        }


def import_from(
    memory: Library,
    path: Path,
    *,
    scope: Scope,
    trust: Integrity | str,
    encoding: str | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Take in a file or folder, in batches that are stored whole or not at all.

    Args:
        path: Our own export; JSONL of turns or messages; JSON of messages or conversations; ChatGPT's
            ``conversations.json`` or the zip it comes in; a text or Markdown file, or a folder of them. A document
            is named by the path as it is given here (``notes/a.md``), and replaces the one of the same name. A
            file that is gone from a folder takes nothing with it: its memories stay until they are forgotten
            (``where={"source": "notes/a.md"}``).
        trust: Whose words these are: an integrity such as ``user`` or ``web``; or ``declared`` for what each
            record says of itself, by its integrity or role. What declares an untrusted author stays untrusted.
        encoding: Of text files; unset = UTF-8.

    Raises:
        InvalidInput: no such file, an unknown ``trust`` or encoding, or an export that is damaged: nothing was taken.
        StoreBusy, StoreFull, BackendError: what was taken so far stays; importing again continues.
    """
    if trust not in (*INTEGRITIES, DECLARED):
        raise InvalidInput(
            f"trust cannot be {trust!r}. {did_you_mean(str(trust), (*INTEGRITIES, DECLARED))}".rstrip(),
            hint=f"It takes {DECLARED}, {', '.join(INTEGRITIES)}.",
        )
    _require_encoding(encoding)
    taking = _Taking(memory, scope, trust, origin=str(path))
    tell = progress or (lambda done, total: None)
    if path.is_dir():
        _take_folder(taking, path, encoding, tell)
    elif not path.exists():
        raise InvalidInput(f"There is no {path}.")
    elif path.suffix.lower() == ".zip":
        _take_zip(taking, path, tell)
    elif path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
        with path.open("rb") as file:
            total = path.stat().st_size
            taking.take(_read(file, path.name), lambda: tell(file.tell(), total))
    else:
        taking.take([documents.from_file(path, encoding=encoding)], lambda: None)
    return taking.report()


def _require_encoding(encoding: str | None) -> None:
    try:
        "x".encode(encoding or "utf-8")
    except (LookupError, ValueError):
        raise InvalidInput(f"There is no encoding {encoding!r}.", hint="Such as latin-1, cp1252 or utf-16.") from None


def _read(file: BinaryIO, name: str) -> Findings:
    if bundle.is_bundle(file):
        bundle.require_whole(file, name)
        return bundle.from_bundle(file, name)
    if name.lower().endswith(".json"):
        return conversations.from_json(file, name)
    return conversations.from_lines(file, name)


def _take_folder(taking: _Taking, folder: Path, encoding: str | None, tell: Progress) -> None:
    sizes = {file: file.stat().st_size for file in documents.files(folder)}
    done, total = 0, sum(sizes.values())
    for file, size in sizes.items():
        taking.take([documents.from_file(file, encoding=encoding)], lambda: None)
        done += size
        tell(done, total)


def _take_zip(taking: _Taking, path: Path, tell: Progress) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if _holds_conversations(info)]
            total = sum(info.file_size for info in members)
            packed = sum(info.compress_size for info in members)
            if total > _MAX_UNPACKED_BYTES or total > _MAX_RATIO * max(packed, 1):
                raise InvalidInput(f"{path.name} unpacks to {total:,} bytes, which no export does.")
            if not members:
                raise InvalidInput(f"{path.name} holds no conversations.json.", hint="Unpack it and import the folder.")
            done = 0
            for info in sorted(members, key=lambda info: info.filename):
                with archive.open(info) as file:
                    before = done
                    taking.take(
                        conversations.from_json(cast(BinaryIO, file), f"{path.name}/{info.filename}"),
                        lambda file=file, before=before: tell(before + file.tell(), total),  # type: ignore[misc]
                    )
                done += info.file_size
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # zipfile says RuntimeError of an encrypted member.
        raise InvalidInput(f"{path.name} cannot be unpacked: {error}.") from None


def _holds_conversations(info: zipfile.ZipInfo) -> bool:
    name = PurePosixPath(info.filename).name
    return name.startswith("conversations") and name.endswith(".json")


# --- what is taken --------------------------------------------------------------------------------


@dataclass
class _Taking:
    """One import on its way: what is found is gathered, compared with what is there, and stored batch by batch."""

    memory: Library
    scope: Scope
    trust: str
    origin: str
    stored: int = 0
    replaced: int = 0
    unchanged: int = 0
    tombstoned: int = 0
    unlisted: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)

    def report(self) -> ImportReport:
        return ImportReport(
            stored=self.stored,
            replaced=self.replaced,
            unchanged=self.unchanged,
            skipped=dict(self.skipped),
            tombstoned=self.tombstoned,
            problems=tuple(self.problems),
            unlisted=self.unlisted,
        )

    def take(self, findings: Iterable[Found], tell: Callable[[], None]) -> None:
        batch: list[FoundTurn | FoundHistory] = []
        for found in findings:
            if isinstance(found, Problem):
                self._refuse(found)
            elif isinstance(found, Skipped):
                self.skipped[found.reason] += 1
            elif isinstance(found, FoundDocument):
                self._take_document(found)
            else:
                batch.append(found)
            if len(batch) >= _BATCH:
                self._take_batch(batch)
                batch = []
                tell()
        self._take_batch(batch)
        tell()

    def _refuse(self, problem: Problem) -> None:
        if len(self.problems) < MAX_LISTED_PROBLEMS:
            self.problems.append(problem)
        else:
            self.unlisted += 1

    def _take_document(self, found: FoundDocument) -> None:
        # A document declares no author: it is the caller's, unless the caller says whose it is.
        document = replace(found.document, integrity=self._integrity("operator"))
        before = self._versions(source=document.name)
        try:
            self.memory.store_many([document], scope=self.scope)
        except InvalidInput as error:
            self._refuse(Problem(found.place, str(error)))
            return
        if self._versions(source=document.name) == before:
            self.unchanged += 1
        elif before:
            self.replaced += 1
        else:
            self.stored += 1

    def _versions(self, *, source: str) -> dict[str, int]:
        query = LogQuery(scope=self.scope, writable=True, source=source)
        return {memory.id: memory.version for memory in self.memory.log.read(query)}

    def _take_batch(self, batch: Sequence[FoundTurn | FoundHistory]) -> None:
        ready = [made for found in batch if (made := self._ready(found)) is not None]
        for owner, group in groupby(ready, key=lambda made: made.owner):
            self._take_ready(owner, list(group))

    def _ready(self, found: FoundTurn | FoundHistory) -> _Ready | None:
        try:
            return self._of_turn(found) if isinstance(found, FoundTurn) else self._of_history(found)
        except InvalidInput as error:
            self._refuse(Problem(found.place, str(error)))
            return None

    def _of_turn(self, found: FoundTurn) -> _Ready:
        (draft,) = self.memory.drafts([found.turn], scope=self.scope)
        id = _id(self.scope, draft.idempotency_key or "")
        draft = replace(draft, id=id, integrity=self._integrity(draft.integrity), origin=draft.origin or self.origin)
        return _Ready(found.place, self.scope, draft)

    def _of_history(self, found: FoundHistory) -> _Ready:
        versions = found.versions
        last = versions[-1]
        if [version.version for version in versions] != list(range(1, len(versions) + 1)) or not _replayable(versions):
            if last.fact is None:
                self.skipped["earlier versions"] += len(versions) - 1
            versions = (last,)
        owner = Scope(user=self.scope.user, agent=self.scope.agent or last.scope.agent, tenant=self.scope.tenant)
        draft = completed(_draft(versions[0], session=last.scope.session))
        return _Ready(found.place, owner, replace(draft, integrity=self._integrity(draft.integrity)), versions)

    def _integrity(self, own: Integrity) -> Integrity:
        """What the caller says, except that nobody's word makes a stranger's words trusted."""
        if self.trust == DECLARED or own not in TRUSTED:
            return own
        return cast(Integrity, self.trust)

    def _take_ready(self, owner: Scope, ready: Sequence[_Ready]) -> None:
        ids = [made.id for made in ready]
        buried = self.memory.log.tombstoned(owner, ids)
        query = LogQuery(scope=owner, writable=True, ids=tuple(dict.fromkeys(ids)))
        there = {memory.id: memory for memory in self.memory.log.read(query)}
        fresh: dict[str, _Ready] = {}
        for made in ready:
            if made.id in buried:
                self.tombstoned += 1
            elif made.id in there:
                self._compare(owner, made, there[made.id])
            elif made.id in fresh:
                self.unchanged += 1
            else:
                fresh[made.id] = made
        self._store(owner, list(fresh.values()))

    def _store(self, owner: Scope, fresh: Sequence[_Ready]) -> None:
        """Store all; where one of them cannot be, halve until it stands alone."""
        if not fresh:
            return
        try:
            memories = self.memory.store_drafts([made.draft for made in fresh], scope=owner)
        except (InvalidInput, IdempotencyConflict, MemoryNotFound) as error:
            if len(fresh) == 1:
                self._store_none(owner, fresh[0], error)
                return
            middle = len(fresh) // 2
            self._store(owner, fresh[:middle])
            self._store(owner, fresh[middle:])
            return
        for made, memory in zip(fresh, memories, strict=True):
            if memory.id == made.id:
                self.stored += 1
                self._replay(owner, made, after=1)
            else:
                # Its idempotency key is there under another id.
                self.unchanged += 1

    def _store_none(self, owner: Scope, made: _Ready, error: AgentMemError) -> None:
        if isinstance(error, MemoryNotFound):
            # It was made from what was forgotten here.
            self.tombstoned += 1
            return
        try:
            self.memory.log.history(owner, made.id)
        except MemoryNotFound:
            self._refuse(Problem(made.place, str(error)))
        else:
            # It is there, but retired: hidden on purpose, so it stays as it is.
            self.unchanged += 1

    def _compare(self, owner: Scope, made: _Ready, there: Memory) -> None:
        """What is there may be the same, newer, or the beginning of a history whose import was broken off."""
        if made.versions and there.version < len(made.versions):
            if not _same(there, made.versions[there.version - 1]):
                self._refuse(Problem(made.place, f"memory {made.id} is there with other content."))
                return
            self.stored += 1
            self._replay(owner, made, after=there.version)
            return
        self.unchanged += 1

    def _replay(self, owner: Scope, made: _Ready, *, after: int) -> None:
        for version in made.versions[after:]:
            try:
                self.memory.update(
                    made.id,
                    scope=owner,
                    content=version.content,
                    metadata=version.metadata,
                    importance=version.importance,
                    # None would ask the rule, which the versions may have done themselves.
                    affect=version.affect or UNSET,
                    valid_from=version.valid_from,
                    valid_to=version.valid_to,
                    expires_at=version.expires_at,
                    reason=version.reason,
                    expected_version=version.version - 1,
                )
            except InvalidInput as error:
                self._refuse(Problem(made.place, f"version {version.version} and later: {error}"))
                return


@dataclass(frozen=True, slots=True)
class _Ready:
    """A draft with its id, whose it will be, and the versions that follow its first."""

    place: str
    owner: Scope
    draft: Draft
    versions: tuple[Memory, ...] = ()

    @property
    def id(self) -> str:
        assert self.draft.id is not None
        return self.draft.id


def _id(scope: Scope, key: str) -> str:
    """The id of an imported turn: a UUIDv8 (RFC 9562) of its key and the scope, as 32 hex digits."""
    said = json.dumps([scope.tenant, scope.user, scope.agent, key])
    value = int.from_bytes(hashlib.blake2b(said.encode(), digest_size=16).digest(), "big")
    value = value & ~(0xF << 76) & ~(0b11 << 62) | 0x8 << 76 | 0b10 << 62
    return f"{value:032x}"


def _draft(memory: Memory, *, session: str | None) -> Draft:
    return Draft(
        content=memory.content,
        kind=memory.kind,
        role=memory.role,
        speaker=memory.speaker,
        session=session,
        occurred_at=memory.occurred_at,
        metadata=memory.metadata,
        importance=memory.importance,
        affect=memory.affect,
        integrity=memory.integrity,
        expires_at=memory.expires_at,
        idempotency_key=memory.idempotency_key,
        derived_from=memory.derived_from,
        source=memory.source,
        terms=b"",
        length=0,
        id=memory.id,
        valid_from=memory.valid_from,
        # What settling closed it will close again, if what superseded it is taken in too.
        valid_to=None if memory.fact and memory.fact.superseded_by else memory.valid_to,
        fact=memory.fact and replace(memory.fact, superseded_by=None, restates=None, times=1),
        origin=memory.origin,
        written_by=memory.written_by,
        reason=memory.reason,
    )


def _replayable(versions: Sequence[Memory]) -> bool:
    """Whether updates alone lead from the first version to the last; if not, the last one is all that is taken."""
    first, *later = (replace(_draft(version, session=None), **_UPDATED) for version in versions)
    return all(version == first and version.fact is None for version in later)


_UPDATED: Final[Mapping[str, Any]] = {
    "content": "",
    "metadata": {},
    "written_by": "",
    **dict.fromkeys(("importance", "affect", "valid_from", "valid_to", "expires_at", "reason")),
}
"""What an update may change, and who made it, put aside."""


def _same(one: Memory, other: Memory) -> bool:
    return (one.content, one.metadata, one.importance) == (other.content, other.metadata, other.importance)
