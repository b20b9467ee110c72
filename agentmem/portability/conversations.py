"""Conversations as others write them down: turns, OpenAI-style messages, ChatGPT's export."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from agentmem.errors import InvalidInput
from agentmem.portability import jsonfiles
from agentmem.portability.found import Findings, FoundTurn, Keys, Problem, Skipped
from agentmem.records import Affect, Integrity, Role, Turn
from agentmem.registry import did_you_mean

_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "tool": "tool",
    "developer": "system",
    "function": "tool",
}
_NO_WORDS: Final = "message without words"
_IGNORED: Final = frozenset(
    {"tool_calls", "tool_call_id", "function_call", "refusal", "annotations", "audio", "weight", "reasoning_content"}
)
"""What an OpenAI-style message may carry beside its words."""


class _Feeling(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    valence: float = 0.0
    arousal: float = 0.0
    label: str | None = None


class _Line(BaseModel):
    """A turn of ours or a message of theirs; the keys both have mean the same."""

    model_config = ConfigDict(extra="forbid", strict=True)
    content: str | list[Any] | None
    role: str = "user"
    speaker: str | None = None
    name: str | None = None
    id: str | None = None
    occurred_at: AwareDatetime | None = Field(default=None, strict=False)
    session: str | None = None
    kind: Literal["turn", "fact", "rule", "identity", "lesson", "summary"] = "turn"
    metadata: dict[str, Any] | None = None
    importance: float | None = None
    affect: _Feeling | None = None
    integrity: Integrity | None = None
    expires_at: AwareDatetime | None = Field(default=None, strict=False)
    idempotency_key: str | None = None
    derived_from: tuple[str, ...] = Field(default=(), strict=False)


def from_lines(file: BinaryIO, name: str) -> Findings:
    """What a JSONL file holds: a turn, a message or a conversation on every line."""
    reader = _Reader(name)
    for number, text in jsonfiles.lines(file):
        place = f"{name}:{number}"
        try:
            if isinstance(text, InvalidInput):
                raise text
            value = jsonfiles.parse(text)
        except InvalidInput as error:
            yield Problem(place, str(error))
            continue
        yield from reader.read(value, place)


def from_json(file: BinaryIO, name: str) -> Findings:
    """What a JSON file holds: a list of messages or conversations (read one by one), or one conversation."""
    reader = _Reader(name)
    if _first_character(file) != b"[":
        if _is_lines(file):
            yield from from_lines(file, name)
            return
        try:
            value = jsonfiles.whole(file)
        except InvalidInput as error:
            yield Problem(name, str(error))
            return
        yield from reader.read(value, name)
        return
    place = f"{name}[0]"
    try:
        for number, value in enumerate(jsonfiles.array_items(file)):
            yield from reader.read(value, f"{name}[{number}]")
            place = f"{name}[{number + 1}]"
    except InvalidInput as error:
        yield Problem(place, str(error))


class _Reader:
    """Tells what each value is; remembers what makes keys repeatable."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._keys = Keys()
        self._opening: str | None = None

    def read(self, value: Any, place: str) -> Findings:
        if not isinstance(value, dict):
            yield Problem(place, "no JSON object.")
        elif isinstance(value.get("mapping"), dict):
            yield from _chatgpt(value, place, self._keys)
        elif isinstance(value.get("messages"), list):
            yield from self._conversation(value, place)
        elif "content" in value or "role" in value:
            # Messages that lie in a file by themselves are one conversation: known by the file and how it begins.
            self._opening = self._opening or self._begins_with([value])
            yield self._message(value, place, self._opening, session=None)
        else:
            yield Problem(place, "neither a turn ('content'), messages ('messages') nor a ChatGPT conversation.")

    def _conversation(self, value: dict[str, Any], place: str) -> Findings:
        messages = value["messages"]
        given = value.get("conversation_id") or value.get("session") or value.get("id")
        session = str(given) if given else self._keys.of_words("conversation", self._begins_with(messages))
        for number, message in enumerate(messages):
            yield self._message(message, f"{place}.messages[{number}]", session, session=session)

    def _begins_with(self, messages: Iterable[Any]) -> str:
        """The file's name and the first words in it that are not a system prompt, which many files share."""
        said = [message for message in messages if isinstance(message, dict)]
        spoken = [message for message in said if message.get("role") not in ("system", "developer")]
        return f"{self._name}|{(spoken or said or [{}])[0].get('content')}"

    def _message(
        self, value: Any, place: str, conversation: str, *, session: str | None
    ) -> FoundTurn | Skipped | Problem:
        if not isinstance(value, dict):
            return Problem(place, "no JSON object.")
        try:
            line = _Line.model_validate({key: item for key, item in value.items() if key not in _IGNORED})
        except ValidationError as error:
            return Problem(place, _reason(error))
        role = _ROLES.get(line.role)
        if role is None:
            return Problem(place, f"there is no role {line.role!r}. {did_you_mean(line.role, _ROLES)}".rstrip())
        content = _words(line.content)
        if not content.strip():
            return Skipped(_NO_WORDS)
        session = line.session or session
        try:
            affect = Affect(**line.affect.model_dump()) if line.affect else None
        except InvalidInput as error:
            return Problem(place, str(error))
        turn = Turn(
            content,
            role=role,
            speaker=line.speaker or line.name,
            occurred_at=line.occurred_at,
            session=session,
            kind=line.kind,
            metadata=line.metadata,
            importance=line.importance,
            affect=affect,
            integrity=line.integrity,
            expires_at=line.expires_at,
            idempotency_key=line.idempotency_key or self._key(line, role, content, session or conversation),
            derived_from=line.derived_from,
        )
        return FoundTurn(place, turn)

    def _key(self, line: _Line, role: str, content: str, conversation: str) -> str:
        if line.id:
            return self._keys.of_message("message", conversation, line.id)
        return self._keys.of_words("message", conversation, role, content, str(line.occurred_at))


def _words(content: str | list[Any] | None) -> str:
    """The text of a message's content; parts that are no text (images, sound) have none."""
    if isinstance(content, list):
        parts = [
            part if isinstance(part, str) else part.get("text") for part in content if isinstance(part, str | dict)
        ]
        return "\n".join(part for part in parts if isinstance(part, str) and part)
    return content or ""


def _reason(error: ValidationError) -> str:
    said = []
    for item in error.errors(include_url=False):
        place = ".".join(str(step) for step in item["loc"] if step not in ("str", "list[any]"))
        if item["type"] == "extra_forbidden":
            said.append(f"there is no key {place!r}. {did_you_mean(place, _Line.model_fields)}".rstrip())
        elif item["type"] == "missing":
            said.append(f"{place!r} is missing.")
        else:
            said.append(f"{place}: {item['msg'][:1].lower()}{item['msg'][1:]}.")
    return " ".join(dict.fromkeys(said))


# --- ChatGPT --------------------------------------------------------------------------------------


def _chatgpt(conversation: dict[str, Any], place: str, keys: Keys) -> Findings:
    """The branch of a conversation that its owner last saw, oldest first."""
    session = str(conversation.get("conversation_id") or conversation.get("id") or "")
    if not session:
        yield Problem(place, "the conversation has no id.")
        return
    title = conversation.get("title")
    for node_id, message in _branch(conversation):
        here = f"{place}.mapping[{node_id}]"
        content, skipped = _chatgpt_words(message)
        if skipped:
            yield Skipped(skipped)
            continue
        author = message.get("author")
        role = _ROLES.get(str(author.get("role"))) if isinstance(author, dict) else None
        if role is None:
            yield Problem(here, "the message has no role.")
            continue
        turn = Turn(
            content,
            role=role,
            occurred_at=_time(message.get("create_time")) or _time(conversation.get("create_time")),
            session=session,
            metadata={"title": title} if isinstance(title, str) and title else None,
            idempotency_key=keys.of_message("chatgpt", session, str(message.get("id") or node_id)),
        )
        yield FoundTurn(here, turn)


def _branch(conversation: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(node id, message) from the root to the current node; every regenerated answer beside it is left out."""
    nodes = {key: node for key, node in conversation["mapping"].items() if isinstance(node, dict)}
    at = conversation.get("current_node")
    if at not in nodes:
        at = _newest_leaf(nodes)
    branch: list[tuple[str, dict[str, Any]]] = []
    visited: set[str] = set()
    while isinstance(at, str) and at in nodes and at not in visited:
        visited.add(at)
        message = nodes[at].get("message")
        if isinstance(message, dict):
            branch.append((at, message))
        at = nodes[at].get("parent")
    return branch[::-1]


def _newest_leaf(nodes: Mapping[str, dict[str, Any]]) -> str | None:
    def written(key: str) -> float:
        message = nodes[key].get("message")
        time = message.get("create_time") if isinstance(message, dict) else None
        return float(time) if isinstance(time, int | float) else 0.0

    return max((key for key, node in nodes.items() if not node.get("children")), key=written, default=None)


def _chatgpt_words(message: dict[str, Any]) -> tuple[str, str]:
    """The words of a message, or why there are none to keep."""
    metadata = message.get("metadata")
    if isinstance(metadata, dict) and metadata.get("is_visually_hidden_from_conversation"):
        return "", "hidden message"
    if message.get("recipient") not in (None, "all"):
        return "", "call of a tool"
    content = message.get("content")
    kind = content.get("content_type") if isinstance(content, dict) else None
    if not isinstance(content, dict) or kind not in ("text", "multimodal_text"):
        return "", f"message of type {kind}"
    parts = content.get("parts")
    words = _words(parts if isinstance(parts, list) else None)
    return (words, "") if words.strip() else ("", _NO_WORDS)


def _time(seconds: Any) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _first_character(file: BinaryIO) -> bytes:
    head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    file.seek(0)
    return head


def _is_lines(file: BinaryIO) -> bool:
    """Whether the first line is a whole JSON object and another follows: JSONL under the name of JSON."""
    first, second = file.readline(jsonfiles.MAX_LINE_BYTES), file.readline(jsonfiles.MAX_LINE_BYTES)
    file.seek(0)
    try:
        return bool(second.strip()) and isinstance(jsonfiles.parse(jsonfiles.decoded(first)), dict)
    except InvalidInput:
        return False
