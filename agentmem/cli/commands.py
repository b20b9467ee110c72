"""Every command, in the order of a memory's life."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from agentmem.cli import arguments, output
from agentmem.cli.options import Answer, Group, Setup, Store, Target, command
from agentmem.clock import utc_now
from agentmem.errors import InvalidInput
from agentmem.lifecycle.compression_rules import Level
from agentmem.records import UNSET, Diff, ForgetMode, IdentitySection, as_json

_MEMORIES: Final = "Memories"
_FILES: Final = "In and out"
_UPKEEP: Final = "Upkeep"
_START: Final = "Start"

app = typer.Typer(
    name="agentmem",
    cls=Group,
    help="Memory for agents: store, retrieve, update and forget.",
    epilog="Exit codes: 0 done, 1 nothing found or not well, 2 bad input, 3 configuration, 4 store, 5 refused.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from agentmem import __version__

        output.print_text(__version__)
        raise typer.Exit


@app.callback()
def _agentmem(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")] = False,
) -> None:
    """Memory for agents: store, retrieve, update and forget."""


Id = Annotated[str, typer.Argument(help="The memory's id, or its end: 8 digits or more, as citations have them.")]
Where = Annotated[str | None, typer.Option(metavar="<json>", help='A filter, such as {"session": "monday"}.')]
AsOf = Annotated[str | None, typer.Option(metavar="<time>", help="What was true then.")]
KnownAt = Annotated[str | None, typer.Option(metavar="<time>", help="What the memory held then.")]
Reason = Annotated[str | None, typer.Option(help="Kept in the history.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", metavar="<kind>", help="Only this kind; may be repeated.")]


# --- start ----------------------------------------------------------------------------------------


@command(app, "demo", panel=_START)
def demo(
    at: Setup,
    path: Annotated[Path | None, typer.Option(help="A folder that the demo makes, and leaves.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the demo's folder, and say where.")] = False,
    act: Annotated[int, typer.Option(hidden=True)] = 0,
) -> int:
    """Three processes, one memory: what was said in the first is known in the next."""
    from agentmem.cli import demo

    return demo.play(at, path=path, keep=keep, act=act)


@command(app, "init", panel=_START)
def init(
    at: Answer,
    folder: Annotated[Path, typer.Argument(help="Where to write.")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write a commented agentmem.yaml and its JSON Schema."""
    from agentmem import config

    contents = {config.FILE_NAME: config.commented_yaml(), config.SCHEMA_NAME: _schema_text()}
    there = [name for name in contents if (folder / name).exists()]
    if there and not force:
        raise InvalidInput(f"{', '.join(there)} exists in {folder.absolute()}.", hint="--force replaces it.")
    for name, text in contents.items():
        (folder / name).write_text(text, encoding="utf-8")
    written = [str(folder / name) for name in contents]
    if at.json:
        output.print_json({"written": written})
    else:
        output.print_text("\n".join(f"wrote {name}" for name in written))


@command(app, "schema", panel=_START)
def schema(at: Answer) -> None:
    """Print the JSON Schema of agentmem.yaml."""
    sys.stdout.write(_schema_text())


def _schema_text() -> str:
    from agentmem import config

    return json.dumps(config.json_schema(), indent=2) + "\n"


# --- memories -------------------------------------------------------------------------------------


@command(app, "store", panel=_MEMORIES)
def store(
    at: Target,
    content: Annotated[str, typer.Argument(help="The words; - reads them from standard input.")],
    kind: Annotated[str, typer.Option(help="turn, fact, rule, lesson, identity or summary.")] = "turn",
    role: Annotated[str, typer.Option(help="user, assistant, system or tool.")] = "user",
    speaker: Annotated[str | None, typer.Option(help="The speaker's name.")] = None,
    occurred_at: Annotated[
        str | None, typer.Option("--at", metavar="<time>", help="When it was said, such as 2026-11-23T09:00:00Z.")
    ] = None,
    metadata: Annotated[str | None, typer.Option(metavar="<json>", help='Such as {"topic": "home"}.')] = None,
    importance: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    integrity: Annotated[str | None, typer.Option(help="The author, if the role does not say it.")] = None,
    key: Annotated[str | None, typer.Option(help="The same key stores one memory.")] = None,
) -> None:
    """Store something that was said."""
    words = arguments.words(content)
    if kind == "document":
        raise InvalidInput("--kind cannot be 'document'.", hint="`agentmem import` takes documents, as files.")
    details: dict[str, Any] = {
        "kind": kind,
        "role": role,
        "speaker": speaker,
        "occurred_at": arguments.time(occurred_at, "--at"),
        "metadata": arguments.json_object(metadata, "--metadata"),
        "importance": importance,
        "integrity": integrity,
        "idempotency_key": key,
    }
    with at.open(new=True) as memory:
        stored = memory.store(words, scope=at.scope, **details)
    if at.json:
        output.print_json(stored.to_dict())
    else:
        output.print_text(stored.id)


@command(app, "search", panel=_MEMORIES)
def search(
    at: Target,
    query: Annotated[str, typer.Argument(help="A question, or any text to find memories for.")],
    k: Annotated[int | None, typer.Option("-k", help="At most so many.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The best that fit.")] = None,
    min_confidence: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    kinds: Kinds = None,
    where: Where = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    include_untrusted: Annotated[
        bool, typer.Option("--include-untrusted", help="Also the words of tools and web pages.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show each signal's share.")] = False,
    prompt: Annotated[bool, typer.Option("--prompt", help="Print the prompt block instead.")] = False,
) -> int:
    """Find the memories that answer a question, best first."""
    if not query.strip():
        raise InvalidInput("The query is empty.", hint="`agentmem list` shows memories without a question.")
    with at.open() as memory:
        found = memory.retrieve(
            query,
            scope=at.scope,
            k=k,
            max_tokens=max_tokens,
            min_confidence=min_confidence,
            kinds=kinds or None,
            where=arguments.json_object(where, "--where"),
            include_untrusted=include_untrusted,
            explain=explain,
            **arguments.moments(as_of, known_at),
        )
    if at.json:
        output.print_json(found.to_dict())
    elif prompt:
        output.print_text(found.render())
    elif found.hits:
        output.show(output.hits(found))
    if not at.json:
        _aside(found.degraded)
        hidden = ", ".join(f"{count} {reason}" for reason, count in found.hidden.items() if count)
        _aside(f"hidden: {hidden}" if hidden else None)
        _aside(None if found.hits else "nothing found")
    return 0 if found.hits else 1


@command(app, "context", panel=_MEMORIES)
def context(
    at: Target,
    query: Annotated[str, typer.Argument(help="The user's last words.")] = "",
    max_tokens: Annotated[int | None, typer.Option(help="Of all of it.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    include_untrusted: Annotated[
        bool, typer.Option("--include-untrusted", help="Also the words of tools and web pages.")
    ] = False,
) -> int:
    """Print what an agent should have in mind to answer, as it goes into a prompt."""
    with at.open() as memory:
        made = memory.context(
            query,
            scope=at.scope,
            max_tokens=max_tokens,
            include_untrusted=include_untrusted,
            **arguments.moments(as_of, known_at),
        )
    if at.json:
        output.print_json({**made.to_dict(), "text": made.text})
    elif made.text:
        output.print_text(made.text)
    if not at.json:
        _aside(made.degraded)
        _aside(f"no room for: {len(made.dropped)} memories" if made.dropped else None)
        _aside(None if made.text else "nothing found")
    return 0 if made.text else 1


@command(app, "list", panel=_MEMORIES)
def list_(
    at: Target,
    kinds: Kinds = None,
    where: Where = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    limit: Annotated[int, typer.Option(help="1 to 10,000.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="Continue behind an earlier page.")] = None,
) -> int:
    """List memories in the order they were stored."""
    with at.open() as memory:
        page = memory.list(
            scope=at.scope,
            kinds=kinds or None,
            where=arguments.json_object(where, "--where"),
            limit=limit,
            cursor=cursor,
            **arguments.moments(as_of, known_at),
        )
    if at.json:
        output.print_json({"items": [item.to_dict() for item in page], "cursor": page.cursor})
    elif page.items:
        output.show(output.memories(page))
    if not at.json:
        _aside(f"more: --cursor {page.cursor}" if page.cursor else None)
        _aside(None if page.items else "nothing found")
    return 0 if page.items else 1


@command(app, "show", panel=_MEMORIES)
def show(at: Target, id: Id, as_of: AsOf = None, known_at: KnownAt = None) -> None:
    """Show one memory whole."""
    with at.open() as memory:
        found = memory.get(
            arguments.full_id(memory, at.scope, id), scope=at.scope, **arguments.moments(as_of, known_at)
        )
    if at.json:
        output.print_json(found.to_dict())
        return
    details = {
        name: value for name, value in found.to_dict().items() if name != "content" and value not in (None, {}, [])
    }
    details["scope"] = ", ".join(f"{name} {value}" for name, value in as_json(found.scope).items() if value)
    output.show(output.pairs(details))
    output.print_text(f"\n{found.content}")


@command(app, "history", panel=_MEMORIES)
def history(at: Target, id: Id) -> None:
    """Show every version of a memory, oldest first: who wrote it, and why."""
    with at.open() as memory:
        versions = memory.history(arguments.full_id(memory, at.scope, id), scope=at.scope)
    if at.json:
        output.print_json([version.to_dict() for version in versions])
        return
    rows = [
        [
            f"v{version.version}",
            output.day(version.recorded_from),
            output.day(version.recorded_to) if version.recorded_to else "now",
            version.written_by,
            output.what_changed(version, before),
        ]
        for before, version in pairwise([None, *versions])
        if version is not None
    ]
    output.show(output.table("", "from", "to", "by", "content", rows=rows))


@command(app, "why", panel=_MEMORIES)
def why(at: Target, id: Id) -> int:
    """Show what a memory was derived from: of a fact the turn that it was read from."""
    with at.open() as memory:
        sources = memory.why(arguments.full_id(memory, at.scope, id), scope=at.scope)
    if at.json:
        output.print_json([source.to_dict() for source in sources])
    elif sources:
        output.show(output.memories(sources))
    else:
        _aside("it was derived from nothing")
    return 0 if sources else 1


@command(app, "identity", panel=_MEMORIES)
def identity(
    at: Target,
    lines: Annotated[list[str] | None, typer.Argument(help="With --set: the lines; none removes them all.")] = None,
    section: Annotated[
        str | None, typer.Option("--set", metavar="<section>", help="Have exactly these lines written by hand there.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    reason: Reason = None,
) -> int:
    """Show who is who: rules, persona, profile, relationship, preferences, commitments; or write a section of it."""
    moments = arguments.moments(as_of, known_at)
    if section is None and (lines or reason):
        raise InvalidInput("identity takes lines only to write them.", hint="Say --set persona, or another section.")
    with at.open(new=section is not None) as memory:
        if section is not None:
            memory.set_identity(cast(IdentitySection, section), lines or [], scope=at.scope, reason=reason)
        found = memory.identity(scope=at.scope, **moments)
    if at.json:
        output.print_json(found.to_dict())
    elif found.lines:
        output.show(output.identity(found))
    else:
        _aside("nothing is known yet")
    return 0 if found.lines or section is not None else 1


@command(app, "diff", panel=_MEMORIES)
def diff(
    at: Target,
    start: Annotated[str, typer.Argument(metavar="<time>", help="From when, such as 2026-11-01T00:00:00Z.")],
    end: Annotated[str | None, typer.Argument(metavar="<time>", help="Until when; unset: now.")] = None,
) -> int:
    """Show what the memory learned between two times."""
    begins, ends = arguments.time(start, "start"), arguments.time(end, "end")
    assert begins is not None
    with at.open() as memory:
        found = memory.diff(scope=at.scope, start=begins, end=ends or utc_now())
    if at.json:
        output.print_json(found.to_dict())
    else:
        output.show(output.difference(found))
    return 0 if found != Diff() else 1


@command(app, "restore", panel=_MEMORIES)
def restore(
    at: Target,
    id: Id,
    version: Annotated[int | None, typer.Option(help="As it was in this version; unset: its last.")] = None,
    reason: Reason = None,
) -> None:
    """Bring back a memory that was hidden, or an earlier version of one."""
    with at.open() as memory:
        restored = memory.restore(
            arguments.full_id(memory, at.scope, id), scope=at.scope, version=version, reason=reason
        )
    if at.json:
        output.print_json(restored.to_dict())
    else:
        output.print_text(f"{restored.id} v{restored.version}")


@command(app, "update", panel=_MEMORIES)
def update(
    at: Target,
    id: Id,
    content: Annotated[str | None, typer.Argument(help="The new words; - reads them from standard input.")] = None,
    metadata: Annotated[str | None, typer.Option(metavar="<json>", help="Replaces the whole metadata.")] = None,
    importance: Annotated[float | None, typer.Option(help="0 to 1.")] = None,
    valid_from: Annotated[str | None, typer.Option(metavar="<time>", help="Since when it is true.")] = None,
    valid_to: Annotated[
        str | None, typer.Option(metavar="<time>", help="Until when it was true; none: it still is.")
    ] = None,
    expected_version: Annotated[int | None, typer.Option(help="Refuse if it has changed since.")] = None,
    reason: Reason = None,
) -> None:
    """Change a memory; the version before stays in its history."""
    if all(each is None for each in (content, metadata, importance, valid_from, valid_to)):
        raise InvalidInput(
            "There is nothing to change.",
            hint="Give new words, --metadata, --importance, --valid-from or --valid-to.",
        )
    new_words = UNSET if content is None else arguments.words(content)
    with at.open() as memory:
        changed = memory.update(
            arguments.full_id(memory, at.scope, id),
            scope=at.scope,
            content=new_words,
            metadata=UNSET if metadata is None else arguments.json_object(metadata, "--metadata"),
            importance=UNSET if importance is None else importance,
            valid_from=arguments.time(valid_from, "--valid-from") or UNSET,
            valid_to=UNSET if valid_to is None else arguments.end(valid_to, "--valid-to"),
            expected_version=expected_version,
            reason=reason,
        )
    if at.json:
        output.print_json(changed.to_dict())
    else:
        output.print_text(f"{changed.id} v{changed.version}")


@command(app, "feedback", panel=_MEMORIES)
def feedback(
    at: Target,
    ids: Annotated[list[str], typer.Argument(help="Ids of memories that were used, or their ends.")],
    outcome: Annotated[float, typer.Option(help="From -1, they misled, to 1, they helped.")],
) -> None:
    """Say how it went with memories: moves each a little in later answers."""
    with at.open() as memory:
        whole = [arguments.full_id(memory, at.scope, id) for id in ids]
        memory.feedback(whole, scope=at.scope, outcome=outcome)
        judged = [memory.get(id, scope=at.scope) for id in whole]
    if at.json:
        output.print_json([{"id": each.id, "outcome": each.outcome} for each in judged])
    else:
        output.print_text("\n".join(f"{each.id} {each.outcome:+.2f}" for each in judged))


@command(app, "forget", panel=_MEMORIES)
def forget(
    at: Target,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of memories, or their ends.")] = None,
    where: Where = None,
    everything: Annotated[bool, typer.Option("--everything", help="All that one user has, or one agent.")] = False,
    mode: Annotated[ForgetMode, typer.Option(help="retire only hides.")] = "erase",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Look afterwards whether it is gone, in files too.")] = False,
    reason: Annotated[str | None, typer.Option(help="Kept in the receipt.")] = None,
    requested_by: Annotated[str | None, typer.Option("--by", help="Who asked; kept in the receipt.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget memories, with a receipt."""
    scope = at.scope
    if sum((bool(ids), where is not None, everything)) != 1:
        raise InvalidInput(
            "Forget what? Exactly one of ids, --where and --everything.",
            hint="To forget a person: agentmem forget --user ana --everything.",
        )
    if everything and scope.user and scope.agent:
        raise InvalidInput(
            f"--everything is of one user or of one agent, not of {scope.user} with {scope.agent}.",
            hint=f'Leave --agent out, or select with --where \'{{"agent": "{scope.agent}"}}\'.',
        )
    selection: dict[str, Any] = {
        "where": arguments.json_object(where, "--where"),
        "everything": everything,
        "mode": mode,
        "verify": verify,
        "reason": reason,
        "requested_by": requested_by,
    }
    with at.open() as memory:
        if everything and not dry_run and not yes:
            doomed = memory.forget(scope=scope, everything=True, mode=mode, dry_run=True).memories
            _confirm(f"Forget all {doomed} memories of {scope.user or scope.agent}?")
        whole = [arguments.full_id(memory, scope, id) for id in ids or ()]
        receipt = memory.forget(whole or None, scope=scope, dry_run=dry_run, **selection)
    if at.json:
        output.print_json(receipt.to_dict())
    elif dry_run:
        output.print_text(f"would forget {output.memories_in_words(receipt.memories)}; nothing was touched")
    else:
        output.show(output.receipt(receipt))


@command(app, "receipts", panel=_MEMORIES)
def receipts(at: Target) -> int:
    """List what was erased of one user or agent: when, by whom, why; no content."""
    with at.open() as memory:
        found = memory.receipts(scope=at.scope)
    if at.json:
        output.print_json([each.to_dict() for each in found])
    elif found:
        rows = [
            [
                each.id,
                output.day(each.requested_at),
                each.status,
                each.memories,
                each.requested_by or "",
                each.reason or "",
            ]
            for each in found
        ]
        output.show(output.table("receipt", "asked", "status", "memories", "by", "reason", rows=rows))
    return 0 if found else 1


@command(app, "hold", panel=_MEMORIES)
def hold(at: Target, reason: Annotated[str, typer.Argument(help="Such as a case number.")]) -> None:
    """Let nothing of a user or agent be erased until the hold is released."""
    with at.open() as memory:
        placed = memory.hold(scope=at.scope, reason=reason)
    if at.json:
        output.print_json(placed.to_dict())
    else:
        output.print_text(f"held: {placed.reason}")


@command(app, "holds", panel=_MEMORIES)
def holds(at: Target) -> int:
    """List the holds that keep something of a user or agent from being erased."""
    with at.open() as memory:
        found = memory.holds(scope=at.scope)
    if at.json:
        output.print_json([each.to_dict() for each in found])
    elif found:
        rows = [
            [output.day(each.placed_at), each.scope.user or "", each.scope.agent or "", each.reason] for each in found
        ]
        output.show(output.table("since", "user", "agent", "reason", rows=rows))
    return 0 if found else 1


@command(app, "release", panel=_MEMORIES)
def release(
    at: Target,
    reason: Annotated[str | None, typer.Option(help="That of the hold to end; unset: the only one.")] = None,
) -> int:
    """End a hold."""
    with at.open() as memory:
        is_released = memory.release(scope=at.scope, reason=reason)
    if at.json:
        output.print_json({"released": is_released})
    else:
        output.print_text("released" if is_released else "there was no hold")
    return 0 if is_released else 1


@command(app, "compress", panel=_MEMORIES)
def compress(
    at: Target,
    max_tokens: Annotated[int, typer.Option(help="Longest summary.")] = 200,
    level: Annotated[Level, typer.Option(help="What each summary is of.")] = "session",
    keep_last: Annotated[int, typer.Option(help="Turns at a session's end that stay out of its summary.")] = 0,
) -> int:
    """Summarise every session, week or topic; each line cites its turns, and the turns stay."""
    with at.open() as memory:
        summaries = memory.compress(scope=at.scope, max_tokens=max_tokens, level=level, keep_last=keep_last)
    if at.json:
        output.print_json([summary.to_dict() for summary in summaries])
    elif summaries:
        rows = [
            [
                summary.metadata.get(level) or summary.scope.session or "",
                len({id for line in summary.metadata["lines"] for id in line}),
                summary.content,
            ]
            for summary in summaries
        ]
        output.show(output.table(level, "turns cited", "summary", rows=rows))
    return 0 if summaries else 1


@command(app, "end-session", panel=_MEMORIES)
def end_session(at: Target) -> int:
    """Write what a session (--session) hands over to the next, and show it; each line cites its turns."""
    with at.open() as memory:
        handover = memory.end_session(scope=at.scope)
    if at.json:
        output.print_json(handover.to_dict() if handover else None)
    elif handover:
        lines = handover.content.split("\n")
        rows = [[about, line] for about, line in zip(handover.metadata["about"], lines, strict=True)]
        output.show(output.table("about", "hand-over", rows=rows))
    else:
        output.print_text("There is nothing to hand over: nothing was said there, or no session was named (--session).")
    return 0 if handover else 1


# --- in and out -----------------------------------------------------------------------------------


@command(app, "import", panel=_FILES)
def import_(
    at: Target,
    source: Annotated[Path, typer.Argument(help="A file or folder.")],
    trust: Annotated[
        str | None,
        typer.Option(metavar="<whose>", help=f"Whose words these are; required: {', '.join(arguments.TRUST)}."),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Of text files; unset: UTF-8.")] = None,
) -> int:
    """Take in an export, chats (JSONL of turns, OpenAI, ChatGPT), text or Markdown.

    A document is named by the path as you give it, and imported again under the same path it replaces what changed.
    A file that is gone from a folder keeps its memories: agentmem forget --where '{"source": "notes/gone.md"}'.
    """
    trust = arguments.trust(trust)
    with at.open(new=True) as memory, output.progress(f"importing {source.name}") as tell:
        report = memory.import_from(source, scope=at.scope, trust=trust, encoding=encoding, progress=tell)
    if at.json:
        output.print_json(report.to_dict())
    else:
        counts: dict[str, Any] = {"stored": report.stored, "replaced": report.replaced, "unchanged": report.unchanged}
        counts |= {f"skipped, {reason}": count for reason, count in report.skipped.items()}
        counts |= {"forgotten, left out": report.tombstoned, "problems": len(report.problems) + report.unlisted}
        output.show(output.pairs({name: count for name, count in counts.items() if count or name == "stored"}))
        for problem in report.problems:
            _aside(str(problem))
        _aside(f"… and {report.unlisted} more" if report.unlisted else None)
    return 1 if report.problems else 0


@command(app, "export", panel=_FILES)
def export(
    at: Target,
    file: Annotated[Path, typer.Argument(help="The file to write; - is standard output.")],
    as_of: AsOf = None,
    known_at: KnownAt = None,
) -> None:
    """Write whose memories you name, with their history, as JSON lines; as of a time, without it."""
    moments = arguments.moments(as_of, known_at)
    if file == Path("-"):
        _export_to_standard_output(at, moments)
        return
    with at.open() as memory:
        count = memory.export_to(file, scope=at.scope, **moments)
    if at.json:
        output.print_json({"path": str(file), "memories": count})
    else:
        output.print_text(f"{output.memories_in_words(count)} in {file}")


def _export_to_standard_output(at: Target, moments: arguments.Moments) -> None:
    # The first line counts and hashes what follows it, so the whole is written before any of it is shown.
    with at.open() as memory, tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "export.jsonl")
        memory.export_to(whole, scope=at.scope, **moments)
        with whole.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)


@command(app, "backup", panel=_FILES)
def backup(at: Store, file: Annotated[Path, typer.Argument(help="The file to write.")]) -> None:
    """Write the whole store to one file, while it is in use."""
    with at.open() as memory:
        written = memory.backup(file)
    if at.json:
        output.print_json({"path": str(written)})
    else:
        output.print_text(f"wrote {written}")


@command(app, "restore-backup", panel=_FILES)
def restore_backup(
    at: Store,
    file: Annotated[Path, typer.Argument(help="What `agentmem backup` wrote.")],
    accept_missing_journal: Annotated[
        bool, typer.Option("--accept-missing-journal", help="Bring back all that it holds, if journal or key is gone.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Replace the store by a backup; what was forgotten since stays forgotten."""
    from agentmem.log.backup import restore_backup

    if not yes:
        _confirm(f"Replace {at.database_url} by {file}? What was stored since is lost.")
    forgotten = restore_backup(file, at.database_url, accept_missing_journal=accept_missing_journal, **at.log_files)
    if at.json:
        output.print_json({"restored": str(file), "forgotten": forgotten})
    else:
        output.print_text(f"restored; {output.memories_in_words(forgotten)} forgotten since stayed out")


# --- upkeep ---------------------------------------------------------------------------------------


@command(app, "stats", panel=_UPKEEP)
def stats(at: Store) -> None:
    """Count what the store holds."""
    with at.open() as memory:
        counts = memory.stats()
    if at.json:
        output.print_json(counts.to_dict())
        return
    shown: dict[str, Any] = {f"memories, {kind}": f"{count:,}" for kind, count in counts.memories.items()}
    shown |= {"versions": f"{counts.versions:,}", "partitions": f"{counts.partitions:,}"}
    shown |= {"vectors": f"{counts.vectors:,}", "waiting for one": f"{counts.waiting:,}"}
    shown["on disk"] = "unknown" if counts.bytes_on_disk is None else f"{counts.bytes_on_disk / 1e6:,.1f} MB"
    shown |= {"embedder": counts.embedder, "degraded": counts.degraded or "no"}
    output.show(output.pairs(shown))


@command(app, "doctor", panel=_UPKEEP)
def doctor(
    at: Store,
    deep: Annotated[bool, typer.Option("--deep", help="Read every row and vector.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without losing anything.")] = False,
) -> int:
    """Look whether everything is well, and say what mends what is not."""
    from agentmem.cli import doctor

    return doctor.examine(at, deep=deep, fix=fix)


@command(app, "reembed", panel=_UPKEEP)
def reembed(at: Store) -> None:
    """Give every memory a vector of the configured embedder; may be interrupted and run again."""
    with at.open() as memory, output.progress("embedding") as tell:
        done = memory.reembed(tell)
        embedder = memory.stats().embedder
    if at.json:
        output.print_json({"embedded": done, "embedder": embedder})
    else:
        output.print_text(f"{output.memories_in_words(done)} embedded by {embedder}")


@command(app, "upgrade", panel=_UPKEEP)
def upgrade(at: Store) -> None:
    """Bring the database to this version's schema."""
    from agentmem.log.engine import Database
    from agentmem.log.migrate import upgrade

    database = Database(at.database_url)
    try:
        before, after = upgrade(database)
    finally:
        database.close()
    if at.json:
        output.print_json({"from": before, "to": after})
    else:
        output.print_text(f"schema {after}" if before == after else f"schema {before or 'none'} -> {after}")


bench = typer.Typer(cls=Group, help="Measure this memory.", no_args_is_help=True)
app.add_typer(bench, name="bench", rich_help_panel=_UPKEEP)


@command(bench, "quality", panel=_UPKEEP)
def bench_quality(
    at: Setup,
    data: Annotated[list[Path], typer.Argument(help="Files of LoCoMo or LongMemEval, JSON or .json.gz.")],
    curve: Annotated[bool, typer.Option("--curve", help="Also evidence within 250 to 4,000 tokens.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw that curve into this SVG file.")] = None,
) -> int:
    """How well questions of a benchmark find the turns that answer them; in a memory of its own, thrown away after."""
    from agentmem import __version__
    from agentmem.bench import budget
    from agentmem.bench.quality import run_quality
    from agentmem.retrieval.options import RetrievalOptions

    options = at.configured.retrieval_options() if at.configured else RetrievalOptions()
    reports = []
    for path in data:
        with tempfile.TemporaryDirectory() as folder, output.progress(f"measuring {path.name}") as tell:
            reports.append(
                run_quality(
                    path,
                    open_memory=partial(at.open_empty, Path(folder)),
                    configuration={"version": __version__, "retrieval": asdict(options)},
                    with_budgets=curve or plot is not None,
                    progress=tell,
                )
            )
    if plot is not None:
        plot.write_text(budget.plot({Path(each.path).stem: each.budgets for each in reports}), encoding="utf-8")
    if at.json:
        output.print_json([report.to_dict() for report in reports])
    else:
        output.show(*(table for report in reports for table in report.tables()))
    return 1 if any(report.skipped for report in reports) else 0


@command(app, "plugins", panel=_UPKEEP)
def plugins(at: Answer) -> None:
    """List the backends that installed packages bring."""
    from agentmem import registry

    claims = registry.available()
    if at.json:
        output.print_json([claim._asdict() for claim in claims])
        return
    for claim in claims:
        # No table: its columns would break the names of classes.
        output.print_text(f"{claim.role:<10} {claim.name:<22} {claim.distribution} {claim.version}\n    {claim.target}")


# --- how ------------------------------------------------------------------------------------------


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput(f"{question} Nobody is here to answer.", hint="Say --yes.")
    if not typer.confirm(question, err=True):
        raise InvalidInput("Nothing was forgotten.")


def _aside(text: str | None) -> None:
    """A line for people that is no part of the answer."""
    if text:
        sys.stderr.write(output.safe(text) + "\n")
