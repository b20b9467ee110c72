"""What commands take beside their own: whether a program reads the answer, which memory, and whose.

Each class adds options to the one before; a command takes the least that it is about.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer
from typer.core import TyperCommand, TyperGroup

from agentmem import errors
from agentmem.cli import output
from agentmem.errors import AgentMemError, InvalidInput
from agentmem.records import Scope

if TYPE_CHECKING:
    from agentmem.config import Config
    from agentmem.manager import MemoryManager

FOLDER: Final = "memory"
DATABASE: Final = "agentmem.db"

_MEMORY: Final = "Which memory"
_WHOSE: Final = "Whose"

EXIT_CODES: Final[dict[type[AgentMemError], int]] = {
    errors.MemoryNotFound: 1,
    errors.InvalidInput: 2,
    errors.ConfigError: 3,
    errors.EmbedderMismatch: 3,
    errors.ScopeError: 5,
    errors.VersionConflict: 5,
    errors.IdempotencyConflict: 5,
    errors.UnderHold: 5,
}
"""Everything else of our tree is 4: the store."""
HINTS: Final[dict[type[AgentMemError], str]] = {
    errors.MemoryNotFound: (
        "`agentmem list` shows the ids, of which the last 8 digits are enough; `agentmem history` shows the versions."
    ),
    errors.ScopeError: "Name the --user and --agent it belongs to, or leave out the one it does not.",
    errors.VersionConflict: "`agentmem show` it, and repeat the change on what you find.",
    errors.UnderHold: "Ask whoever placed it; `agentmem holds` shows it, `agentmem release` ends it.",
    errors.IdempotencyConflict: "Take a new --key for new words, or `agentmem update` the memory.",
}
"""The next step in words of the command line, where the library speaks of its own calls."""
INTERRUPTED: Final = 130
CLOSED_PIPE: Final = 141


@dataclass(frozen=True)
class Answer:
    """For people or for programs."""

    json: Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")] = False


@dataclass(frozen=True)
class Setup(Answer):
    """What a memory is made of: as YAML says, else the defaults."""

    config: Annotated[
        Path | None,
        typer.Option(help="A YAML file; unset: $AGENTMEM_CONFIG, ./agentmem.yaml.", rich_help_panel=_MEMORY),
    ] = None

    @cached_property
    def configured(self) -> Config | None:
        """The YAML that describes the memory, if one does."""
        from agentmem import config

        return config.load(self.config) if config.find(self.config) else None

    def open_empty(self, folder: Path) -> MemoryManager:
        """A new memory in a folder, with what the configuration says but for where it keeps things."""
        from agentmem.manager import MemoryManager

        backends = self.configured.backends() if self.configured else {}
        elsewhere = ("log", "vectors", "required_ids")
        return MemoryManager.open(folder, **{name: given for name, given in backends.items() if name not in elsewhere})


@dataclass(frozen=True)
class Store(Setup):
    """Where the memory is: as said on the command line, then in YAML, then ``./memory``."""

    path: Annotated[Path | None, typer.Option(help="Its folder; unset: ./memory.", rich_help_panel=_MEMORY)] = None
    url: Annotated[
        str | None, typer.Option(help="A database, sqlite:///… or postgresql+psycopg://…", rich_help_panel=_MEMORY)
    ] = None

    @cached_property
    def configured(self) -> Config | None:
        """The YAML that describes the memory, if one does."""
        if sum(place is not None for place in (self.path, self.config, self.url)) > 1:
            raise InvalidInput("--path, --config and --url exclude one another.", hint="Give one of them.")
        return None if self.path or self.url else super().configured

    @property
    def database_url(self) -> str:
        """The database behind the memory."""
        if self.url:
            return self.url
        if self.configured:
            return str(self.configured.log.options["url"])
        # SQLAlchemy unquotes it: a folder may be called anything.
        return f"sqlite:///{quote(str(self._folder / DATABASE))}"

    @property
    def log_files(self) -> dict[str, Any]:
        """What the configuration says of the files that belong to the log, for what opens it without the manager."""
        options = self.configured.log.options if self.configured else {}
        names = ("tombstone_key_file", "journal_file", "keys", "master_key_variable")
        return {name: options[name] for name in names if name in options}

    @property
    def _folder(self) -> Path:
        return (self.path or Path(FOLDER)).expanduser().absolute()

    def open(self, *, new: bool = False) -> MemoryManager:
        """The memory; ``new`` makes the folder where there is none, for commands that write."""
        from agentmem.manager import MemoryManager

        if self.url:
            return MemoryManager.open(self.url)
        if self.configured:
            return MemoryManager(**self.configured.backends())
        if not new and not (self._folder / DATABASE).is_file():
            raise InvalidInput(
                f"There is no memory in {self._folder}.",
                hint="`agentmem store` makes one; --path, --config or --url name another.",
            )
        return MemoryManager.open(self._folder)


@dataclass(frozen=True)
class Target(Store):
    """Whose memory, beside where it is."""

    user: Annotated[str | None, typer.Option(envvar="AGENTMEM_USER", help="The person.", rich_help_panel=_WHOSE)] = None
    agent: Annotated[str | None, typer.Option(envvar="AGENTMEM_AGENT", help="The agent.", rich_help_panel=_WHOSE)] = (
        None
    )
    session: Annotated[
        str | None,
        typer.Option(envvar="AGENTMEM_SESSION", help="The conversation that is written to.", rich_help_panel=_WHOSE),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option(
            envvar="AGENTMEM_TENANT", help="The customer, where one database serves several.", rich_help_panel=_WHOSE
        ),
    ] = None

    @property
    def scope(self) -> Scope:
        """Whose memory: as said, then as YAML says."""
        rules = self.configured.scope if self.configured else None
        said = {
            name: getattr(self, name) or getattr(rules, name, None) for name in ("user", "agent", "session", "tenant")
        }
        if not said["user"] and not said["agent"]:
            raise InvalidInput("Whose memory?", hint="Say --user ana or --agent coach, or set AGENTMEM_USER.")
        return Scope(**{name: value for name, value in said.items() if value})


def command(app: typer.Typer, name: str, *, panel: str) -> Callable[[Callable[..., int | None]], Callable[..., None]]:
    """Make a function a command: first it is given the options of the class above that it asks for.

    What it returns is the exit code. Errors of our tree become one line on standard error, and never a traceback.
    """

    def made(function: Callable[..., int | None]) -> Callable[..., None]:
        first, *own = inspect.signature(function, eval_str=True).parameters.values()
        asked: type[Answer] = first.annotation
        shared = inspect.signature(asked, eval_str=True).parameters.values()

        @functools.wraps(function)
        def run(**given: Any) -> None:
            at = asked(**{field.name: given.pop(field.name) for field in fields(asked)})
            raise typer.Exit(_exit_code(lambda: function(at, **given), as_json=at.json))

        parameters = [*own, *shared]
        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads the options from it
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        )
        app.command(name, cls=Command, rich_help_panel=panel)(run)
        return run

    return made


class _PlainFlags:
    """Help in which an option without a value shows none, where typer writes ``<bool>``."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of typer's class, which is mixed in below
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
        return params


class Command(_PlainFlags, TyperCommand):
    """One command."""


class Group(_PlainFlags, TyperGroup):
    """Commands under one name."""


def _exit_code(run: Callable[[], int | None], *, as_json: bool) -> int:
    try:
        code = run() or 0
        sys.stdout.flush()
    except AgentMemError as error:
        output.print_error(error, hint=HINTS.get(type(error), error.hint), as_json=as_json)
        return exit_code_of(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whatever is still in the buffer has nowhere to go; without this the interpreter complains at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:
        said = InvalidInput(f"{error.filename or 'file'}: {error.strerror or error}.")
        output.print_error(said, hint="", as_json=as_json)
        return EXIT_CODES[InvalidInput]
    return code


def exit_code_of(error: AgentMemError) -> int:
    return next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), 4)
