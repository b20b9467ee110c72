"""From what ``update`` is asked to change to a revision the log can keep: checked, completed, indexed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.extractors.attributes import attribute_of
from agentmem.extractors.sentences import sentence, subject_in_words
from agentmem.interfaces import Revision
from agentmem.lifecycle.affect import affect_of
from agentmem.lifecycle.drafting import checked_affect, checked_metadata, index_terms, require_content
from agentmem.lifecycle.importance import importance_of
from agentmem.records import (
    UNSET,
    Affect,
    Fact,
    Lesson,
    Memory,
    Polarity,
    Unset,
    lesson_in,
    require_number,
    require_text,
    require_time,
)

MAX_REASON_CHARACTERS: Final = 2_000


def revision_of(
    old: Memory,
    *,
    content: str | Unset = UNSET,
    metadata: Mapping[str, Any] | Unset | None = UNSET,
    importance: float | Unset | None = UNSET,
    affect: Affect | Unset | None = UNSET,
    valid_from: datetime | Unset = UNSET,
    valid_to: datetime | Unset | None = UNSET,
    expires_at: datetime | Unset | None = UNSET,
    reason: str | None = None,
) -> Revision:
    """The revision of a memory, with the token bag of new content; without its vector.

    What a rule had said of the old words (importance, affect) it says again of the new ones; what was given stays.
    A lesson's words and its parts change together.

    Raises:
        InvalidInput: nothing to change, or something no store can hold.
    """
    changes = (content, metadata, importance, affect, valid_from, valid_to, expires_at)
    if all(isinstance(change, Unset) for change in changes):
        raise InvalidInput("update() was given nothing to change.", hint="Pass content, metadata, importance, ….")
    revision = Revision(
        metadata=UNSET if isinstance(metadata, Unset) else checked_metadata(metadata, kind=old.kind),
        importance=require_number(importance, "importance", 0.0, 1.0) if _is_given(importance) else UNSET,
        affect=checked_affect(affect) if _is_given(affect) else UNSET,
        valid_from=UNSET if isinstance(valid_from, Unset) else require_time(valid_from, "valid_from"),
        valid_to=_time(valid_to, "valid_to"),
        expires_at=_time(expires_at, "expires_at"),
        reason=checked_reason(reason),
    )
    _require_order(old, revision)
    if old.lesson is not None:
        revision, content = _taught(old, old.lesson, revision, content)
    words = old.content if isinstance(content, Unset) else require_content(content)
    revision = _judged(old, revision, words, affect_by_rule=affect is None, importance_by_rule=importance is None)
    return revision if isinstance(content, Unset) else _reworded(old, revision, words)


def checked_reason(reason: str | None) -> str | None:
    """The reason, if it is a text of bounded length."""
    if reason is None:
        return None
    if len(require_text(reason, "reason")) > MAX_REASON_CHARACTERS:
        raise InvalidInput(f"reason is longer than {MAX_REASON_CHARACTERS:,} characters.")
    return reason


def _reworded(old: Memory, revision: Revision, words: str) -> Revision:
    fact = UNSET if old.fact is None else restated(old.fact, words)
    metadata = old.metadata if isinstance(revision.metadata, Unset) else revision.metadata
    terms, length = index_terms(
        words,
        speaker=old.speaker,
        occurred_at=old.occurred_at,
        source=old.source,
        fact=None if isinstance(fact, Unset) else fact,
        lesson=lesson_in(old.kind, metadata),
    )
    return replace(revision, content=words, fact=fact, terms=terms, length=length)


def _taught(old: Memory, lesson: Lesson, revision: Revision, content: str | Unset) -> tuple[Revision, str | Unset]:
    """A lesson's revision and new words, with the one taken from the other where only one was given.

    Raises:
        InvalidInput: neither can be taken from the other, so that they would teach different things.
    """
    if isinstance(revision.metadata, Unset):
        if isinstance(content, Unset) or content == old.content:
            return revision, content
        retold = _retold(lesson, require_content(content))
        if retold.outcome != lesson.outcome:
            raise InvalidInput(
                "The outcome changes; whether the result is as good as it was does not follow from the words.",
                hint='Pass metadata={"lesson": {…}} with the new outcome and result instead.',
            )
        return replace(revision, metadata={**old.metadata, "lesson": retold.to_dict()}), content
    metadata = {"lesson": lesson.to_dict(), **revision.metadata}
    revision = replace(revision, metadata=metadata)
    new = lesson_in(old.kind, metadata)
    if new is None or new.words == lesson.words or not isinstance(content, Unset):
        return revision, content
    if old.content != lesson.words:
        raise InvalidInput(
            "The lesson's parts change, but not its words, which are your own.", hint="Pass content= with them."
        )
    return revision, new.words


_OUTCOME: Final = "; outcome:"


def _retold(lesson: Lesson, words: str) -> Lesson:
    """The lesson as the new words tell it, in the form of ``Lesson.words``; how good the result was stays.

    Raises:
        InvalidInput: they have another form, or could be divided in several ways.
    """
    found = list(_divided(lesson, words))
    kept = [sum(new == old for new, old in zip(_parts(each), _parts(lesson), strict=True)) for each in found]
    if not found or kept.count(max(kept)) > 1:
        raise InvalidInput(
            "The new content does not say which are the lesson's situation, action and outcome.",
            hint='Write "When …: …; outcome: …", or pass metadata={"lesson": {…}} too.',
        )
    return found[kept.index(max(kept))]


def _divided(lesson: Lesson, words: str) -> Iterator[Lesson]:
    """Every way to read the words as a lesson's."""
    if not words.startswith("When "):
        return
    for end in re.finditer(re.escape(_OUTCOME), words):
        outcome = words[end.end() :].strip()
        for colon in re.finditer(r":(?=\s)", words[: end.start()]):
            situation, action = words[5 : colon.start()].strip(), words[colon.end() : end.start()].strip()
            if situation and action and outcome:
                yield replace(lesson, situation=situation, action=action, outcome=outcome)


def _parts(lesson: Lesson) -> tuple[str, str, str]:
    return lesson.situation, lesson.action, lesson.outcome


def _judged(old: Memory, revision: Revision, words: str, *, affect_by_rule: bool, importance_by_rule: bool) -> Revision:
    """With the affect and importance that the rules give, where they had given the old ones or are asked to."""
    affect_by_rule |= isinstance(revision.affect, Unset) and old.affect == affect_of(old.content)
    if affect_by_rule:
        revision = replace(revision, affect=affect_of(words))
    ruled = importance_of(old.content, kind=old.kind, role=old.role, affect=old.affect)
    importance_by_rule |= isinstance(revision.importance, Unset) and old.importance == ruled
    if importance_by_rule:
        affect = old.affect if isinstance(revision.affect, Unset) else revision.affect
        revision = replace(revision, importance=importance_of(words, kind=old.kind, role=old.role, affect=affect))
    return revision


def restated(fact: Fact, words: str) -> Fact:
    """The fact that the new sentence states.

    Raises:
        InvalidInput: it is not a sentence of the fact's attribute about its subject.
    """
    attribute = attribute_of(fact.attribute)
    sentences: tuple[tuple[Polarity, str], ...] = (
        ("ended", attribute.ended),
        ("denied", attribute.denied),
        ("affirmed", attribute.affirmed),
    )
    for unnamed in _unnamed(fact):
        if words.strip().rstrip(".") == sentence(unnamed).rstrip("."):
            return unnamed
    subject = subject_in_words(fact.subject)
    for polarity, stated in sentences:
        filled = stated.replace("{subject}", subject).replace("{topic}", fact.topic or "")
        before, _, behind = filled.partition("{value}")
        found = re.fullmatch(f"{re.escape(before)}(.+?){re.escape(behind)}?", words.strip(), re.DOTALL)
        if found:
            value = re.sub(r"^an? ", "", found[1].strip()) if attribute.counted else found[1].strip()
            return replace(fact, value=value, polarity=polarity, span=None)
    form = attribute.affirmed.replace("{subject}", subject).replace("{topic}", fact.topic or "").replace("{value}", "…")
    raise InvalidInput(
        f"The new content does not say what the fact's {fact.attribute} is.",
        hint=f"Write {form!r}; or forget() the fact and store another.",
    )


def _unnamed(fact: Fact) -> Iterator[Fact]:
    """The same of what has no name: "no longer works where they did", "has a dog"."""
    yield replace(fact, value="", polarity="ended", span=None)
    if fact.topic:
        for polarity in ("affirmed", "denied"):
            yield replace(fact, value=fact.topic, polarity=polarity, span=None)


def _require_order(old: Memory, revision: Revision) -> None:
    begins = old.valid_from if isinstance(revision.valid_from, Unset) else revision.valid_from
    if isinstance(revision.valid_to, datetime) and revision.valid_to < begins:
        raise InvalidInput(f"valid_to {revision.valid_to.isoformat()} is before valid_from {begins.isoformat()}.")


def _is_given(value: object) -> bool:
    return value is not None and not isinstance(value, Unset)


def _time(value: datetime | Unset | None, name: str) -> datetime | Unset | None:
    return value if value is None or isinstance(value, Unset) else require_time(value, name)
