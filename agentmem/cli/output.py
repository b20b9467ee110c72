"""What the command line writes: tables for people, JSON for programs, one line for an error."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from agentmem.errors import AgentMemError
from agentmem.records import Diff, Hit, Identity, Memory, Receipt

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

_WIDTH_OF_A_PIPE: Final = 160
# Control characters but tab and newline, and those that turn the direction of text: a stored memory must neither
# move a terminal's cursor nor show a reader something other than what it says.
_UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def safe(text: str) -> str:
    """The text with what could drive a terminal shown as escapes."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def print_json(value: Any) -> None:
    """One JSON value on standard output, indented; anything unsafe on a terminal is a JSON escape."""
    # Inside JSON's strings every one of these characters may be written as an escape, and they stand nowhere else.
    is_unicode = sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(safe(json.dumps(value, ensure_ascii=not is_unicode, indent=2)) + "\n")


def print_text(text: str) -> None:
    sys.stdout.write(safe(text) + "\n")


def print_error(error: AgentMemError, *, hint: str, as_json: bool) -> None:
    """The error on standard error: what happened and the next step, or an object with its code."""
    if as_json:
        said = {"code": error.code, "message": error.message, "hint": hint, "retryable": error.retryable}
        sys.stderr.write(json.dumps({"error": said}) + "\n")
    else:
        sys.stderr.write(safe(f"error: {error.message} {hint}".rstrip()) + "\n")


def escape_what_cannot_be_written() -> None:
    """Let a character that the terminal's encoding lacks be shown as an escape, where Python would raise."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def show(*renderables: RenderableType) -> None:
    """Rich things on standard output."""
    console().print(*renderables, sep="\n", soft_wrap=False)


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else _WIDTH_OF_A_PIPE, highlight=False, markup=False)


def table(*columns: str, rows: Iterable[Sequence[Any]]) -> Table:
    """A table of safe cells; the last column takes the room that is left."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, show_header=any(columns), pad_edge=False)
    for place, column in enumerate(columns):
        made.add_column(column, ratio=1 if place == len(columns) - 1 else None, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(safe(str(cell))) for cell in row))
    return made


def memories(found: Iterable[Memory]) -> Table:
    rows = [
        [memory.id, f"v{memory.version}", memory.kind, day(memory.occurred_at), who(memory), memory.content]
        for memory in found
    ]
    return table("id", "", "kind", "when", "who", "content", rows=rows)


def identity(found: Identity) -> Table:
    """The lines of an identity by section; of commitments how they stand and when they are due."""
    rows = [
        [line.section, line.state or "", day(line.due) if line.due else "", line.id, line.content]
        for line in found.lines
    ]
    return table("section", "state", "due", "id", "line", rows=rows)


def hits(found: Iterable[Hit]) -> Table:
    """Hits, best first; their signals below the words where they were asked for."""
    rows = [
        [f"{hit.score:.2f}", f"{hit.confidence:.0%}", day(hit.memory.occurred_at), who(hit.memory), _words(hit)]
        for hit in found
    ]
    return table("score", "sure", "when", "who", "memory", rows=rows)


def _words(hit: Hit) -> Any:
    from rich.text import Text

    words = Text(safe(hit.content))
    words.append(f"\n{hit.id}", "dim")
    for label in hit.labels:
        words.append(f" {label}", "yellow")
    for correction in hit.corrections:
        words.append(f"\nnow: {safe(correction.content)}", "yellow")
    if hit.signals:
        words.append(f"\n{signals(hit)}", "cyan")
    return words


def signals(hit: Hit) -> str:
    """``dense .31 · lexical .62``, the strongest first; what said nothing is left out."""
    strongest = sorted(hit.signals.items(), key=lambda item: -item[1])
    return " · ".join(f"{name} {value:.2f}" for name, value in strongest if abs(value) >= 0.005)


def difference(found: Diff) -> Table:
    """What was added, changed, retired and erased, a memory a line."""
    ended = {change.after.id for change in found.ended if change.after}
    rows = [["added", memory.kind, "", memory.content] for memory in found.added]
    for change in found.changed:
        before, after = change.before, change.after
        assert before is not None and after is not None
        what = "no longer true" if after.id in ended else "changed"
        rows.append([what, after.kind, "" if before.content == after.content else before.content, after.content])
    rows += [["hidden", memory.kind, memory.content, ""] for memory in found.retired]
    if found.erased:
        rows.append(["erased", "", memories_in_words(found.erased), ""])
    return table("", "kind", "before", "after", rows=rows)


def what_changed(version: Memory, before: Memory | None) -> str:
    """The words of a version, when it is true in the world where that is new, and why it was written."""
    was = (before.valid_from, before.valid_to) if before else (version.occurred_at, None)
    lines = [version.content]
    if (version.valid_from, version.valid_to) != was:
        until = f"until {day(version.valid_to)}" if version.valid_to else "on"
        lines.append(f"true from {day(version.valid_from)} {until}")
    if version.reason:
        lines.append(f"({version.reason})")
    return "\n".join(lines)


def pairs(values: Mapping[str, Any]) -> Table:
    """Names and values, one a line."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim")
    made.add_column(ratio=1, overflow="fold")
    for name, value in values.items():
        made.add_row(name, Text(safe(str(value))))
    return made


def receipt(given: Receipt) -> Table:
    """What was forgotten, how, and what is left to do."""
    done = "forgot" if given.mode == "erase" else "hid"
    shown = {
        done: memories_in_words(given.memories),
        "versions erased": given.rows.get("version"),
        "status": given.status,
        "remaining": "; ".join(given.remaining),
        "verified": {None: None, True: "looked for, and not found", False: "NO: still found"}[given.verified],
        "checks": "; ".join(given.checks),
        "still nearly the same": ", ".join(given.similar),
        "requested by": given.requested_by,
        "reason": given.reason,
        "receipt": given.id,
    }
    return pairs({name: value for name, value in shown.items() if value not in (None, "")})


def receipts(given: Iterable[Receipt]) -> Table:
    """What was ever erased, a receipt a line."""
    rows = [
        [each.id, day(each.requested_at), each.status, each.memories, each.requested_by or "", each.reason or ""]
        for each in given
    ]
    return table("receipt", "asked", "status", "memories", "by", "reason", rows=rows)


def memories_in_words(count: int) -> str:
    return "1 memory" if count == 1 else f"{count:,} memories"


def day(time: datetime) -> str:
    return time.strftime("%Y-%m-%d %H:%M")


def who(memory: Memory) -> str:
    if memory.source:
        return memory.source.name
    return memory.speaker or memory.role


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Something to call with (done, total); a bar on standard error where that is a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(safe(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
