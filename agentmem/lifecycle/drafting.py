"""From what callers hand in to drafts the log can keep: checked, completed, indexed, chunked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from agentmem.chunking import chunk
from agentmem.clock import Clock
from agentmem.embedders import to_blob
from agentmem.errors import InvalidInput
from agentmem.extractors.attributes import ATTRIBUTES
from agentmem.extractors.sentences import search_words
from agentmem.interfaces import Embedder, EmbedRequest, TokenCounter
from agentmem.lifecycle.affect import affect_of
from agentmem.lifecycle.importance import importance_of
from agentmem.records import (
    INTEGRITIES,
    KINDS,
    MAX_CONTENT_BYTES,
    MAX_ID_CHARACTERS,
    ROLES,
    Affect,
    Document,
    Draft,
    Fact,
    Integrity,
    Lesson,
    Memory,
    Role,
    Scope,
    Source,
    Turn,
    lesson_in,
    require_fact,
    require_lesson,
    require_metadata,
    require_number,
    require_text,
    require_time,
)
from agentmem.registry import did_you_mean
from agentmem.retrieval.lexical import memory_terms

INTEGRITY_OF_ROLE: Final[Mapping[Role, Integrity]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "operator",
    "tool": "tool",
}
"""Who is taken to be the author when nobody declares one."""

CHUNK_TOKENS: Final = 256
"""Longest chunk of a document: a few paragraphs, so that a hit costs a prompt little."""

_MAX_DERIVED_FROM: Final = 10_000


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafts in the order of the items they came from, and the documents they replace."""

    drafts: Sequence[Draft]
    replacing: frozenset[str]


def prepare(items: Iterable[object], *, scope: Scope, counter: TokenCounter, clock: Clock) -> Drafts:
    """Drafts of turns, documents and mappings, without vectors.

    Raises:
        InvalidInput: naming the item and what it lacks; nothing is half-prepared.
    """
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidInput(f"items must be a list of what to store, not {type(items).__name__}.")
    now = clock()
    drafts: list[Draft] = []
    names: set[str] = set()
    for place, item in enumerate(items):
        try:
            checked = _noun(item)
            if isinstance(checked, Turn):
                drafts.append(_draft_of_turn(checked, scope, now))
                continue
            if checked.name in names:
                raise InvalidInput(f"The document {checked.name!r} is here twice.", hint="Give each its own name.")
            names.add(checked.name)
            drafts.extend(_drafts_of_document(checked, scope, counter, now))
        except InvalidInput as error:
            if place == 0:
                raise
            raise InvalidInput(f"items[{place}]: {error.message}", hint=error.hint) from error
    return Drafts(drafts, frozenset(names))


def completed(draft: Draft) -> Draft:
    """A draft that an import made, checked as a caller's own words are, with its token bag.

    Raises:
        InvalidInput: naming the field that no store can hold.
    """
    content = require_content(draft.content)
    speaker = _optional_text(draft.speaker, "speaker")
    occurred_at = require_time(draft.occurred_at, "occurred_at")
    _require_choice(draft.kind, "kind", KINDS)
    _require_choice(draft.role, "role", ROLES)
    if draft.source is not None:
        for name in (draft.source.name, *draft.source.headings):
            require_text(name, "source")
    fact = _fact(draft.fact, kind=draft.kind)
    metadata = checked_metadata(draft.metadata, kind=draft.kind)
    terms, length = index_terms(
        content,
        speaker=speaker,
        occurred_at=occurred_at,
        source=draft.source,
        fact=fact,
        lesson=lesson_in(draft.kind, metadata),
    )
    return replace(
        draft,
        fact=fact,
        id=_optional_text(draft.id, "id"),
        session=_optional_text(draft.session, "session"),
        occurred_at=occurred_at,
        valid_from=_optional_time(draft.valid_from, "valid_from"),
        valid_to=_optional_time(draft.valid_to, "valid_to"),
        expires_at=_optional_time(draft.expires_at, "expires_at"),
        metadata=metadata,
        importance=_importance(draft.importance, content, kind=draft.kind, role=draft.role, affect=draft.affect),
        integrity=_integrity(draft.integrity, "undeclared"),
        idempotency_key=_optional_text(draft.idempotency_key, "idempotency_key"),
        derived_from=_sources(draft.derived_from),
        terms=terms,
        length=length,
        origin=None if draft.origin is None else require_text(draft.origin, "origin"),
        written_by=require_text(draft.written_by, "written_by"),
        reason=None if draft.reason is None else require_text(draft.reason, "reason"),
    )


def index_terms(
    content: str,
    *,
    speaker: str | None,
    occurred_at: datetime,
    source: Source | None = None,
    fact: Fact | None = None,
    lesson: Lesson | None = None,
) -> tuple[bytes, int]:
    """The token bag of a memory and its length, as every write stores them."""
    if source is not None:
        # The headings are part of what a chunk is about, and often the only place that says so.
        content, speaker = "\n".join((*source.headings, content)), source.name
    if fact is not None:
        # "Which city is she in?" shares no word with "Clara lives in Porto."
        return memory_terms(
            content,
            speaker=speaker,
            occurred_at=occurred_at,
            beside=search_words(fact),
            of_user=fact.subject == "user",
        )
    # It is a situation that a lesson is looked for with: its words count twice.
    beside = lesson.situation if lesson is not None else ""
    return memory_terms(content, speaker=speaker, occurred_at=occurred_at, beside=beside)


def embed_drafts(drafts: Sequence[Draft], embedder: Embedder) -> list[Draft]:
    """The drafts with their vectors; a text that has none keeps None."""
    vectors = embedder.embed(EmbedRequest([meant(draft) for draft in drafts]))
    return [
        draft if blob is None else replace(draft, vector=blob)
        for draft, blob in zip(drafts, to_blob(vectors), strict=True)
    ]


def meant(memory: Draft | Memory) -> str:
    """The text whose meaning a memory is found by: its content; of a lesson the situation."""
    lesson = lesson_in(memory.kind, memory.metadata)
    return memory.content if lesson is None else lesson.situation


def embed_one(content: str, embedder: Embedder) -> bytes | None:
    """The vector of one text as the log keeps it, or None if it has none."""
    return to_blob(embedder.embed(EmbedRequest([content])))[0]


def checked_metadata(metadata: object, *, kind: str) -> dict[str, Any]:
    """A copy of the metadata that JSON can carry; what a lesson teaches is whole.

    Raises:
        InvalidInput: naming the place.
    """
    copy = require_metadata(metadata)
    if kind == "lesson" and "lesson" in copy:
        copy["lesson"] = require_lesson(copy["lesson"], "metadata.lesson").to_dict()
    return copy


def require_content(content: object) -> str:
    """The content, if it is text of 1 byte to 1 MiB that is not all blank."""
    text = require_text(content, "content")
    if not text.strip():
        raise InvalidInput("content is empty.", hint="There is nothing to remember; skip it.")
    # Four bytes a character at most: only a long text needs to be measured.
    if len(text) > MAX_CONTENT_BYTES // 4 and len(text.encode("utf-8")) > MAX_CONTENT_BYTES:
        raise InvalidInput(
            f"content is longer than {MAX_CONTENT_BYTES:,} bytes.",
            hint="Store it as a Document: that is chunked, and every part can be found.",
        )
    return text


def _noun(item: object) -> Turn | Document:
    if isinstance(item, Turn | Document):
        return item
    if isinstance(item, str):
        return Turn(item)
    if isinstance(item, Mapping):
        noun = Document if "name" in item else Turn
        known = [field.name for field in fields(noun)]
        unknown = [key for key in item if key not in known]
        if unknown:
            close = get_close_matches(str(unknown[0]), known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(known)}."
            raise InvalidInput(f"A {noun.__name__} takes no {unknown[0]!r}.", hint=hint)
        if "content" not in item:
            raise InvalidInput(f"A {noun.__name__} needs content.")
        return noun(**item)
    raise InvalidInput(f"A {type(item).__name__} cannot be stored.", hint="Give a string, a Turn or a Document.")


def _draft_of_turn(turn: Turn, scope: Scope, now: datetime) -> Draft:
    content = require_content(turn.content)
    if turn.kind == "document":
        raise InvalidInput("A Turn cannot be of kind 'document'.", hint="Store a Document.")
    _require_choice(turn.kind, "kind", KINDS)
    _require_choice(turn.role, "role", ROLES)
    speaker = _optional_text(turn.speaker, "speaker")
    occurred_at = now if turn.occurred_at is None else require_time(turn.occurred_at, "occurred_at")
    fact = _fact(turn.fact, kind=turn.kind)
    if fact is not None:
        _require_registered(fact.attribute)
    affect = checked_affect(turn.affect)
    if affect is None and turn.kind != "summary":
        affect = affect_of(content)
    metadata = checked_metadata(turn.metadata, kind=turn.kind)
    lesson = lesson_in(turn.kind, metadata)
    terms, length = index_terms(content, speaker=speaker, occurred_at=occurred_at, fact=fact, lesson=lesson)
    return Draft(
        content=content,
        kind=turn.kind,
        role=turn.role,
        speaker=speaker,
        session=_optional_text(turn.session, "session") or scope.session,
        occurred_at=occurred_at,
        metadata=metadata,
        importance=_importance(turn.importance, content, kind=turn.kind, role=turn.role, affect=affect),
        affect=affect,
        integrity=_integrity(turn.integrity, INTEGRITY_OF_ROLE[turn.role]),
        expires_at=_optional_time(turn.expires_at, "expires_at"),
        idempotency_key=_optional_text(turn.idempotency_key, "idempotency_key"),
        derived_from=_sources(turn.derived_from),
        source=None,
        terms=terms,
        length=length,
        fact=fact,
        valid_from=_optional_time(turn.valid_from, "valid_from"),
        valid_to=_optional_time(turn.valid_to, "valid_to"),
        origin=_optional_text(turn.origin, "origin"),
    )


def _fact(fact: object, *, kind: str) -> Fact | None:
    if fact is None:
        return None
    if isinstance(fact, Mapping):
        try:
            fact = Fact(**fact)
        except TypeError as error:
            raise InvalidInput("fact takes subject, attribute, value, polarity and topic.") from error
    if kind != "fact":
        raise InvalidInput(f"What is of kind {kind!r} carries no fact.", hint='Write kind="fact".')
    return require_fact(fact)


def _require_registered(attribute: str) -> None:
    """Of what nobody registered, a new value would close no old one: most often it is a slip of the pen."""
    if attribute not in ATTRIBUTES:
        raise InvalidInput(
            f"fact.attribute: there is no {attribute!r}. {did_you_mean(attribute, ATTRIBUTES)}".rstrip(),
            hint="One of your own: register() it first (agentmem.extractors.attributes).",
        )


def _drafts_of_document(document: Document, scope: Scope, counter: TokenCounter, now: datetime) -> list[Draft]:
    require_text(document.content, "content")
    if not _optional_text(document.name, "name"):
        raise InvalidInput("A Document needs a name.", hint="Its path or title: storing it again replaces it.")
    _require_choice(document.media_type, "media_type", ("text/markdown", "text/plain"))
    occurred_at = now if document.occurred_at is None else require_time(document.occurred_at, "occurred_at")
    shared = {
        "metadata": require_metadata(document.metadata),
        "integrity": _integrity(document.integrity, "operator"),
        "expires_at": _optional_time(document.expires_at, "expires_at"),
    }
    return [
        _draft_of_chunk(each.text, each.source, scope, occurred_at, document.importance, shared)
        for each in chunk(document, max_tokens=CHUNK_TOKENS, counter=counter)
    ]


def _draft_of_chunk(
    text: str,
    source: Source,
    scope: Scope,
    occurred_at: datetime,
    importance: float | None,
    shared: Mapping[str, Any],
) -> Draft:
    terms, length = index_terms(text, speaker=None, occurred_at=occurred_at, source=source)
    return Draft(
        content=text,
        kind="document",
        role="user",
        speaker=None,
        session=scope.session,
        occurred_at=occurred_at,
        importance=_importance(importance, text, kind="document", role="user", affect=None),
        affect=None,
        idempotency_key=None,
        derived_from=(),
        source=source,
        terms=terms,
        length=length,
        **shared,
    )


def _sources(ids: object) -> tuple[str, ...]:
    if isinstance(ids, str) or not isinstance(ids, Sequence):
        raise InvalidInput(f"derived_from must be a tuple of ids, not {type(ids).__name__}.")
    if len(ids) > _MAX_DERIVED_FROM:
        raise InvalidInput(f"derived_from names {len(ids)} memories; at most {_MAX_DERIVED_FROM}.")
    return tuple(require_text(id, "derived_from") for id in ids)


def checked_affect(affect: object) -> Affect | None:
    """The affect, made from a mapping where it is one.

    Raises:
        InvalidInput: it is neither.
    """
    if affect is None or isinstance(affect, Affect):
        return affect
    if isinstance(affect, Mapping):
        try:
            return Affect(**affect)
        except TypeError as error:
            raise InvalidInput("affect takes valence, arousal and label.") from error
    raise InvalidInput(f"affect must be an Affect, not {type(affect).__name__}.")


def _integrity(integrity: Integrity | None, unset: Integrity) -> Integrity:
    if integrity is None:
        return unset
    _require_choice(integrity, "integrity", INTEGRITIES)
    return integrity


def _require_choice(value: object, name: str, choices: Sequence[str]) -> None:
    if value not in choices:
        close = get_close_matches(str(value), choices, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(choices)}."
        raise InvalidInput(f"{name} cannot be {value!r}.", hint=hint)


def _optional_text(value: object, name: str) -> str | None:
    if value is None:
        return None
    text = require_text(value, name)
    if not text or len(text) > MAX_ID_CHARACTERS:
        raise InvalidInput(f"{name} must have 1 to {MAX_ID_CHARACTERS} characters, not {len(text)}.")
    return text


def _optional_time(value: datetime | None, name: str) -> datetime | None:
    return None if value is None else require_time(value, name)


def _importance(given: float | None, content: str, *, kind: str, role: str, affect: Affect | None) -> float:
    """The importance that was given, or that the rule gives."""
    share = _optional_share(given, "importance")
    return importance_of(content, kind=kind, role=role, affect=affect) if share is None else share


def _optional_share(value: float | None, name: str) -> float | None:
    return None if value is None else require_number(value, name, 0.0, 1.0)
