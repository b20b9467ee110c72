"""A memory described in YAML: read strictly, every mistake named with its place, nothing ignored.

    # agentmem.yaml
    version: 1
    log: {type: sql, url: "sqlite:///memory/agentmem.db"}
    vectors: {type: chroma, path: ./chroma}
    llm: {type: openai, model: gpt-5-mini, api_key: "${OPENAI_API_KEY}"}

``${VAR}``, ``${VAR:-default}`` and ``$$`` (a dollar sign) are replaced in string values after parsing, so a value
can never add structure. Relative paths start at the file. YAML is a convenience: ``Config.backends()`` gives what
could be passed to ``MemoryManager`` by hand.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args, get_type_hints
from urllib.parse import quote, unquote

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)

from agentmem import registry
from agentmem.clients import WrapOptions
from agentmem.context.builder import ContextOptions
from agentmem.context.labels import labels
from agentmem.errors import ConfigError
from agentmem.lifecycle.compression_rules import IDLE_PATTERN, SUMMARY_TOKENS, CompressionRules, Level, parse_idle
from agentmem.lifecycle.retention import DURATION_PATTERN, RetentionRule, parse_duration, unreachable
from agentmem.records import KINDS
from agentmem.retrieval.options import RetrievalOptions

FILE_NAME: Final = "agentmem.yaml"
SCHEMA_NAME: Final = "agentmem.schema.json"
ENVIRONMENT_VARIABLE: Final = "AGENTMEM_CONFIG"
DEFAULT_URL: Final = "sqlite:///memory/agentmem.db"
_DEFAULT_LOG: Final = {"type": "sql", "url": DEFAULT_URL}
BACKENDS: Final = ("log", "vectors", "embedder", "reranker", "extractor", "compressor", "llm", "tokens")
"""The top-level keys that name a backend; each is the role of the same name in the registry."""

_SQLITE_FILE: Final = re.compile(r"(sqlite(?:\+\w+)?:///)(?!:memory:)([^?]+)(.*)")
_VARIABLE_AT_ITS_BRACE: Final = re.compile(r"\$\{[^}\n]*\}")
_MAX_BYTES: Final = 1 << 20
_MAX_DEPTH: Final = 32
_MAX_NODES: Final = 20_000
_PLAIN_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "timestamp", "seq", "map", "merge")
)

Path_ = tuple[str | int, ...]
"""Where a value stands: the keys and list places that lead to it."""


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class ScopeRules(_Strict):
    """Which scopes are accepted, and whose memory the command line means when it is not told."""

    require: tuple[Literal["user", "agent", "session"], ...] = Field(default=(), strict=False)
    """A scope without one of these is refused."""
    tenant: str = "default"
    user: str | None = None
    agent: str | None = None
    session: str | None = None


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$", "examples": ["90d"]}),
]
"""``90d``, ``12h``, ``6w``, ``1y``."""


class RetentionSpec(_Strict):
    """How long some memories are kept; of several rules the first that matches a memory decides."""

    kinds: frozenset[Annotated[str, WithJsonSchema({"enum": list(KINDS)})]] | None = Field(default=None, strict=False)
    """Only of these kinds; unset = of all."""
    tenant: str | None = None
    user: str | None = None
    agent: str | None = None
    keep: bool = False
    """Never expire by a rule; an expires_at that a memory was given still counts."""
    expire_after: Duration | None = None
    """Older memories are hidden, then purged: 90d, 12h, 6w, 1y."""
    compress_after: Duration | None = None
    """Sessions whose turns are all older get a summary; the turns stay until they expire."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.rule()
        return self

    def rule(self) -> RetentionRule:
        return RetentionRule(**self.model_dump())


Idle = Annotated[
    timedelta,
    BeforeValidator(parse_idle),
    WithJsonSchema({"type": "string", "pattern": f"^{IDLE_PATTERN}$", "examples": ["30m"]}),
]
"""``30m``, ``12h``, ``1d``."""


class CompressionSpec(_Strict):
    """When sessions are compressed without being asked to: whichever comes first; unset = never."""

    after_tokens: int | None = None
    """Once so many tokens of turns are in no summary."""
    after_turns: int | None = None
    """Once so many turns are in no summary."""
    idle: Idle | None = None
    """Once nothing was added for so long: 30m, 12h, 1d."""
    keep_last: int = 0
    """Turns at the end of a session that stay out of its summary."""
    max_tokens: int = SUMMARY_TOKENS
    """Longest summary."""
    levels: tuple[Level, ...] = Field(default=("session",), strict=False)
    """With week and topic those are kept up as well."""

    @model_validator(mode="after")
    def _checked(self) -> Self:
        self.rules()
        return self

    def rules(self) -> CompressionRules:
        return CompressionRules(**self.model_dump())


class PluginRules(_Strict):
    """Which installed packages may bring backends."""

    allow: tuple[str, ...] | None = Field(default=None, strict=False)
    """Names of distributions; unset = every installed one, loaded when it is named. Ours always may."""


class Backend(BaseModel):
    """A backend's name and its own options. Neither repr nor an error shows an option's value: it may be a key."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)
    type: str

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"type": "sql", "url": value} if "://" in value else {"type": value}
        if isinstance(value, Mapping) and not isinstance(value.get("type"), str):
            raise ValueError("a backend needs a 'type': a name, or module:Class")
        return value

    def __repr__(self) -> str:
        return f"Backend(type={self.type!r}, options={sorted(self.options)})"

    __str__ = __repr__


def _block(name: str, options: Any, doc: str) -> type[_Strict]:
    """A block with the fields of an options dataclass, so that the two cannot drift apart."""
    hints = get_type_hints(options)
    definitions: dict[str, Any] = {
        item.name: (hints[item.name], Field(default=item.default)) for item in dataclasses.fields(options)
    }

    def constructible(rules: Any) -> Any:
        options(**rules.model_dump())
        return rules

    model: type[_Strict] = create_model(
        name,
        __base__=_Strict,
        __doc__=doc,
        __validators__={"_checked": model_validator(mode="after")(constructible)},  # type: ignore[dict-item]
        **definitions,
    )
    return model


RetrievalRules: Final = _block(
    "RetrievalRules", RetrievalOptions, "How memories are ranked: the weights and bounds of the retrieval pipeline."
)
ContextRules: Final = _block(
    "ContextRules", ContextOptions, "What `context()` puts into a prompt: the budget, each section's share, the labels."
)
WrapRules: Final = _block("WrapRules", WrapOptions, "How much of a call's prompt and time a wrapped client may take.")


class Config(_Strict):
    """Everything ``agentmem.yaml`` may say, checked. ``backends()`` is what it describes."""

    version: Literal[1] = 1
    """The version of this file's format."""
    scope: ScopeRules = ScopeRules()
    log: Backend = Backend.model_validate(_DEFAULT_LOG)
    """The database that holds every memory: SQLite, or postgresql+psycopg://…"""
    vectors: Backend = Backend(type="exact")
    """The vector index; rebuilt from the log when it is lost."""
    embedder: Backend | None = Backend(type="static")
    """What turns text into vectors; null searches by words alone."""
    retrieval: RetrievalRules = Field(default_factory=RetrievalRules)  # type: ignore[valid-type]  # made by create_model
    reranker: Backend | None = None
    """A model's second look at the best hits, weighed by `retrieval: {rerank}`; unset = none."""
    extractor: Backend | None = Backend(type="rules")
    """What takes facts from turns; null takes none."""
    compressor: Backend = Backend(type="extractive")
    """What turns many turns into few lines."""
    llm: Backend | None = None
    """A language model, for what is optional and off the write path."""
    tokens: Backend | None = None
    """What counts tokens; unset = exact where the encoding is at hand, otherwise an estimate."""
    context: ContextRules = Field(default_factory=ContextRules)  # type: ignore[valid-type]  # made by create_model
    wrap: WrapRules = Field(default_factory=WrapRules)  # type: ignore[valid-type]  # made by create_model
    retention: tuple[RetentionSpec, ...] = Field(default=(), strict=False)
    """How long memories are kept; unset = until they are forgotten, or to their expires_at."""
    compression: CompressionSpec = CompressionSpec()
    """When sessions are compressed on their own; unset = only when asked."""
    plugins: PluginRules = PluginRules()

    def backend(self, role: str) -> Backend | None:
        """The backend named for a role, or None."""
        named: Backend | None = getattr(self, role)
        return named

    def retrieval_options(self) -> RetrievalOptions:
        return RetrievalOptions(**self.retrieval.model_dump())  # type: ignore[attr-defined]  # made by create_model

    def context_options(self) -> ContextOptions:
        return ContextOptions(**self.context.model_dump())  # type: ignore[attr-defined]  # made by create_model

    def wrap_options(self) -> WrapOptions:
        return WrapOptions(**self.wrap.model_dump())  # type: ignore[attr-defined]  # made by create_model

    def retention_rules(self) -> tuple[RetentionRule, ...]:
        return tuple(spec.rule() for spec in self.retention)

    def backends(self) -> dict[str, Any]:
        """What the file describes, as the arguments of ``MemoryManager``; each ``type`` is the class that was found.

        What it leaves out is left to the manager's defaults, all but the log. The folder of an SQLite database is
        made if it is missing.
        """
        given: dict[str, Any] = {
            "retrieval": self.retrieval_options(),
            "context": self.context_options(),
            "wrapping": self.wrap_options(),
            "required_ids": frozenset(self.scope.require),
        }
        if self.retention:
            given["retention"] = self.retention_rules()
        given["compression"] = self.compression.rules()
        for role in {"log", *self.model_fields_set} & set(BACKENDS):
            named = self.backend(role)
            given[role] = named and self._spec(role, named)
        database = _SQLITE_FILE.fullmatch(str(self.log.options.get("url", "")))
        if database:
            Path(unquote(database[2])).parent.mkdir(parents=True, exist_ok=True)
        return given

    def _spec(self, role: str, named: Backend) -> dict[str, Any]:
        """The backend, and those within its options, with the classes that their names mean."""
        within = {name: self._spec(name, value) for name, value in named.options.items() if isinstance(value, Backend)}
        return {"type": registry.resolve(role, named.type, allow=self.plugins.allow), **named.options, **within}


# --- from a file or a mapping ---------------------------------------------------------------------


def load(path: str | os.PathLike[str] | None = None) -> Config:
    """The configuration of a file: the one named, else ``$AGENTMEM_CONFIG``, else ``./agentmem.yaml``.

    Raises:
        ConfigError: there is no such file, or it has mistakes: all of them, each with its line.
    """
    file = find(path)
    if file is None:
        raise ConfigError(f"There is no {FILE_NAME} here.", hint="`agentmem init` writes one.")
    data, lines, problems = _parsed(_text_of(file), file.name)
    if problems:
        raise _combined(problems, file.name)
    return _checked(_Reading(data, file.name, file.resolve().parent, lines))


def find(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The file that ``load`` would read, or None."""
    named = path or os.environ.get(ENVIRONMENT_VARIABLE)
    if named:
        return Path(named).expanduser()
    here = Path(FILE_NAME)
    return here if here.is_file() else None


def from_mapping(data: Mapping[str, Any], *, place: str = "configuration", base: Path | None = None) -> Config:
    """The configuration in a mapping, read as a file's content is: same keys, same checks, same ``${VAR}``.

    Args:
        place: What messages call it.
        base: Where relative paths start; None = the working directory.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{place} must be a mapping, not {type(data).__name__}.")
    return _checked(_Reading(data, place, base))


def _text_of(file: Path) -> str:
    try:
        raw = file.read_bytes() if file.stat().st_size <= _MAX_BYTES else None
    except OSError as error:
        hint = "`agentmem init` writes one." if isinstance(error, FileNotFoundError) else ""
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", hint=hint) from None
    if raw is None:
        raise ConfigError(f"{file} is larger than {_MAX_BYTES:,} bytes, which no configuration is.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line} is not UTF-8 (byte {error.start}).", hint="Save it as UTF-8.") from None


def _parsed(text: str, name: str) -> tuple[Any, dict[Path_, int], list[str]]:
    """The data, the line of every value, and what YAML itself does not refuse but we do."""
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return {}, {}, []
        walk = _Walk(name)
        walk.visit(node, ())
        data = {} if walk.problems else loader.construct_document(node)
    except yaml.YAMLError as error:
        return {}, {}, [_not_yaml(error, text, name)]
    except ValueError as error:
        # A date that no calendar has, a number of thousands of digits.
        return {}, {}, [f"{name}: a value cannot be read: {error}. Quote it if it is text."]
    finally:
        loader.dispose()
    if not walk.problems and not isinstance(data, dict):
        return {}, {}, [f"{name} must be a mapping of keys to values, not a {type(data).__name__}."]
    return data, walk.lines, walk.problems


def _not_yaml(error: yaml.YAMLError, text: str, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if mark is None:
        return f"{name}: {said}."
    variable = _VARIABLE_AT_ITS_BRACE.match(text, max(mark.index - 1, 0))
    if variable:
        said = f'a variable inside {{…}} must be quoted: write "{variable[0]}"'
    return f"{name}:{mark.line + 1}: {said}."


@dataclass
class _Walk:
    """One look at every node before anything is built: lines, doubled keys, tags, size."""

    name: str
    lines: dict[Path_, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    nodes: int = 0

    def visit(self, node: yaml.Node, path: Path_) -> None:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > _MAX_NODES or len(path) > _MAX_DEPTH:
            # An alias that holds itself, or aliases of aliases, would never end.
            raise yaml.YAMLError(f"it is nested deeper than {_MAX_DEPTH} levels or has more than {_MAX_NODES:,} values")
        self.lines.setdefault(path, line)
        if node.tag not in _PLAIN_TAGS:
            self.problems.append(f"{self.name}:{line}: the tag {node.tag} is not accepted; write plain values.")
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self.visit(item, (*path, number))
        elif isinstance(node, yaml.MappingNode):
            self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> None:
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                self.visit(value, path)
                continue
            if key.value in first:
                place = _dotted((*path, key.value))
                self.problems.append(
                    f"{self.name}:{line}: {place} is there twice; it stands in line {first[key.value]} already."
                )
            first.setdefault(key.value, line)
            self.lines[*path, key.value] = line
            self.visit(value, (*path, key.value))


# --- the checks -----------------------------------------------------------------------------------


@dataclass
class _Reading:
    """A mapping on its way to a Config, with what messages need."""

    data: Mapping[str, Any]
    place: str
    base: Path | None = None
    lines: Mapping[Path_, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    replaced: set[Path_] = field(default_factory=set)
    unreplaced: set[Path_] = field(default_factory=set)

    def report(self, path: Path_, said: str) -> None:
        """Note a problem as ``agentmem.yaml:4: vectors: …``."""
        line = next((self.lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in self.lines), 0)
        where = f"{self.place}:{line}" if line else self.place
        self.problems.append((line, f"{where}: {_dotted(path)}: {said}" if path else f"{where}: {said}"))


def _checked(reading: _Reading) -> Config:
    data = _substituted(reading.data, (), reading)
    config = _validated(data, reading)
    located = dict(_checked_backends(data, reading))
    for place, decided in unreachable(config.retention_rules() if config else ()).items():
        earlier = " and ".join(f"retention[{number}]" for number in decided)
        reading.report(
            ("retention", place), f"nothing is left for it after {earlier}: the first rule that matches decides."
        )
    if config is not None:
        located["context"] = _with_labels(config.context, reading)
        located["wrap"] = _with_folder(config.wrap, reading)
    if config is None or reading.problems:
        raise _combined([said for _, said in sorted(reading.problems)], reading.place)
    return config.model_copy(update=located)


def _with_labels(rules: Any, reading: _Reading) -> Any:
    """The rules of contexts with the folder of templates found; what is wrong with its files is reported."""
    if rules.templates is None:
        return rules
    folder = str((reading.base or Path()) / Path(rules.templates).expanduser())
    try:
        labels(folder)
    except ConfigError as error:
        reading.report(("context", "templates"), str(error).removeprefix("context.templates: "))
    return rules.model_copy(update={"templates": folder})


def _with_folder(rules: Any, reading: _Reading) -> Any:
    """The rules of wrapped clients with the folder of the spill files found."""
    if rules.spill is None:
        return rules
    return rules.model_copy(update={"spill": str((reading.base or Path()) / Path(rules.spill).expanduser())})


def _validated(data: dict[str, Any], reading: _Reading) -> Config | None:
    try:
        return Config.model_validate(data)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    # A variable's value is text; where text does not fit, read it as YAML would have: 5, 0.5, true.
    retyped = [_retype(data, item["loc"]) for item in errors if tuple(item["loc"]) in reading.replaced]
    if any(retyped):
        try:
            return Config.model_validate(data)
        except ValidationError as error:
            errors = error.errors(include_url=False)
    for item in errors:
        if tuple(item["loc"]) not in reading.unreplaced:
            reading.report(*_sentence(item, reading))
    return None


def _checked_backends(data: Mapping[str, Any], reading: _Reading) -> Iterator[tuple[str, Backend]]:
    """Backends whose name or options are wrong are reported; the others come back with their paths resolved."""
    allow = _allowed(data)
    said = {role: data[role] for role in BACKENDS if data.get(role) is not None}
    for role, spec in {"log": _DEFAULT_LOG, **said}.items():
        if any(path[:1] == (role,) for path in reading.unreplaced):
            continue
        try:
            named = Backend.model_validate(spec)
        except ValidationError:
            continue  # Reported already.
        checked = _checked_backend((role,), named, reading, allow)
        if checked is not None:
            yield role, checked


def _checked_backend(path: Path_, named: Backend, reading: _Reading, allow: tuple[str, ...] | None) -> Backend | None:
    """The backend with its paths resolved; None if its name is wrong, which is reported as a wrong option is."""
    role = str(path[-1])
    try:
        cls = registry.resolve(role, named.type, allow=allow)
    except ConfigError as error:
        reading.report(path, str(error).removeprefix(f"{role}: "))
        return None
    values, problems = registry.check_options(cls, named.options)
    for problem in problems:
        reading.report(path, problem)
    hints = registry.options_of(cls)
    resolved = {name: _located(value, hints.get(name), reading.base) for name, value in values.items()}
    for name in {name for name in resolved if name in hints and _names_a_backend(hints[name])}:
        try:
            within = Backend.model_validate(resolved[name])
        except ValidationError:
            reading.report((*path, name), "a backend needs a 'type': a name, or module:Class.")
        else:
            resolved[name] = _checked_backend((*path, name), within, reading, allow)
    return Backend.model_validate({"type": named.type, **resolved})


def _names_a_backend(option: registry.Option) -> bool:
    """Whether it is a backend that may be given by its name: a model of the extractor's own."""
    return option.name in BACKENDS and registry.takes(option.hint, str)


def _allowed(data: Mapping[str, Any]) -> tuple[str, ...] | None:
    try:
        return PluginRules.model_validate(data.get("plugins", {})).allow
    except ValidationError:
        return None


def _located(value: Any, option: registry.Option | None, base: Path | None) -> Any:
    """A path or an SQLite URL, starting at the file that says it."""
    if base is None or option is None or not isinstance(value, str | Path):
        return value
    if registry.takes(option.hint, Path) or registry.takes(option.hint, os.PathLike):
        return type(value)(base / Path(value).expanduser())
    database = _SQLITE_FILE.fullmatch(str(value))
    if option.name == "url" and database and not Path(unquote(database[2])).is_absolute():
        # The folder's name may hold what means something in a URL.
        return f"{database[1]}{quote(str(base))}/{database[2]}{database[3]}"
    return value


def _substituted(value: Any, path: Path_, reading: _Reading) -> Any:
    if isinstance(value, Mapping):
        return {key: _substituted(item, (*path, key), reading) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_substituted(item, (*path, number), reading) for number, item in enumerate(value)]
    if isinstance(value, str) and "$" in value:
        return _VARIABLE.sub(lambda match: _variable(match, path, reading), value)
    return value


_VARIABLE: Final = re.compile(r"\$\$|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\})?")


def _variable(match: re.Match[str], path: Path_, reading: _Reading) -> str:
    if match[0] == "$$":
        return "$"
    name = match[1]
    if name is None:
        reading.unreplaced.add(path)
        reading.report(path, "'${' begins no variable. Write ${NAME}, ${NAME:-default}, or $$ for a dollar sign.")
        return ""
    reading.replaced.add(path)
    found = os.environ.get(name)
    if match[2]:
        return found or match[3]
    if found is None:
        reading.unreplaced.add(path)
        reading.report(path, f"the environment has no {name}. Set it, or write ${{{name}:-default}}.")
        return ""
    return found


def _retype(data: Any, path: tuple[str | int, ...]) -> bool:
    """Turn the text at the path into the number or boolean it spells; whether it spells one."""
    for step in path[:-1]:
        data = data[step]
    spelled = yaml.safe_load(data[path[-1]]) if re.fullmatch(r"[\w.+-]+", str(data[path[-1]])) else None
    if isinstance(spelled, bool | int | float):
        data[path[-1]] = spelled
        return True
    return False


def _sentence(item: Any, reading: _Reading) -> tuple[Path_, str]:
    """What pydantic found, as a path and a sentence."""
    path: Path_ = tuple(item["loc"])
    if item["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        owner = _dotted(path[:-1]) or "The file"
        return path, f"there is no such key. {registry.did_you_mean(str(path[-1]), known)}" + (
            f"{owner} takes: {', '.join(known)}."
        )
    if path == ("version",):
        return path, "this agentmem reads version 1. Write `version: 1`, or install a newer agentmem."
    said = _PLAIN.get(item["type"], item["msg"]).removeprefix("Value error, ").removeprefix(f"{_dotted(path)}.")
    said = said[:1].lower() + said[1:]
    given = item.get("input")
    if isinstance(given, str | int | float | bool) and path not in reading.replaced and path[:1] not in _SECRETIVE:
        said = f"{said.rstrip('.')}, not {given!r}"
    return path, f"{said.rstrip('.')}."


_PLAIN: Final = {
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "frozen_set_type": "must be a list",
}
_SECRETIVE: Final = frozenset((role,) for role in BACKENDS)


def _keys_at(path: Path_) -> list[str]:
    model: Any = Config
    for step in path:
        # A place in a list names no field: what the list holds is what the annotation holds.
        model = get_args(model)[0] if isinstance(step, int) else model.model_fields[step].annotation
    return list(model.model_fields)


def _dotted(path: Path_) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def _combined(problems: list[str], place: str) -> ConfigError:
    unique = list(dict.fromkeys(problems))
    if len(unique) == 1:
        return ConfigError(unique[0])
    return ConfigError("\n  ".join([f"{place} has {len(unique)} problems:", *unique]))


# --- what others may read -------------------------------------------------------------------------


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of ``agentmem.yaml``, with the options of every installed backend."""
    schema = Config.model_json_schema()
    definitions = schema["$defs"]
    definitions.pop("Backend", None)
    for role in BACKENDS:
        described = schema["properties"][role].get("description")
        schema["properties"][role] = _backend_schema(role) | ({"description": described} if described else {})
    for rules in definitions.values():
        rules["properties"] = {name: _or_variable(rule) for name, rule in rules.get("properties", {}).items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": FILE_NAME}


def _backend_schema(role: str) -> dict[str, Any]:
    names = registry.names(role)
    own = {"type": "string", "pattern": ":"}
    return {
        "anyOf": [
            {"enum": names},
            own,
            *(_named_schema(role, name) for name in names),
            {"type": "object", "properties": {"type": own}, "required": ["type"]},
        ]
    }


def _named_schema(role: str, name: str) -> dict[str, Any]:
    named: dict[str, Any] = {"type": "object", "properties": {"type": {"const": name}}, "required": ["type"]}
    try:
        options = registry.options_of(registry.resolve(role, name))
    except ConfigError:
        return named  # Its package lacks something here; the name is right nevertheless.
    named["properties"] |= {option.name: _option_schema(option) for option in options.values() if _can_be_said(option)}
    named["required"] += [option.name for option in options.values() if option.required]
    return named | {"additionalProperties": False}


def _can_be_said(option: registry.Option) -> bool:
    """Whether YAML can give it: not a clock or another object that the program hands over."""
    return option.name not in ("breaker", "clock", "counter", *registry.ROLES) or _names_a_backend(option)


def _option_schema(option: registry.Option) -> dict[str, Any]:
    if _names_a_backend(option):
        return _backend_schema(option.name)
    if registry.takes(option.hint, Callable):
        return {"type": "string", "pattern": ":"}
    try:
        described = TypeAdapter(option.hint).json_schema()
    except PydanticUserError:
        return {}  # An object that JSON cannot say.
    if option.default is None or isinstance(option.default, str | int | float):
        described["default"] = option.default
    return _or_variable({key: value for key, value in described.items() if key != "default" or not option.required})


def _or_variable(schema: dict[str, Any]) -> dict[str, Any]:
    """The same, or ``${VAR}`` in its place."""
    return schema if schema.get("type") == "string" or "$ref" in schema else _with_variable(schema)


def _with_variable(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in schema.items() if key in ("description", "default", "title")}
    rest = {key: value for key, value in schema.items() if key not in kept}
    return {**kept, "anyOf": [*(rest.pop("anyOf", None) or [rest]), {"type": "string", "pattern": r"\$\{"}]}


def commented_yaml() -> str:
    """What ``agentmem init`` writes: every key with its default and a word about it."""
    return _TEMPLATE.replace("@WEIGHTS@", _defaults(RetrievalRules)).replace("@CONTEXT@", _defaults(ContextRules))


def _defaults(block: type[_Strict]) -> str:
    return "\n".join(
        f"#   {name}: {_spelled(info.get_default(call_default_factory=True))}"
        for name, info in block.model_fields.items()
    )


def _spelled(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("...\n").strip()


_TEMPLATE: Final = f"""\
# yaml-language-server: $schema=./{SCHEMA_NAME}
#
# agentmem reads this file strictly: an unknown key is an error, and says what was meant. Relative paths start here.
# ${{VAR}} and ${{VAR:-default}} are replaced inside values ($$ is a dollar sign); quote them inside {{…}}.
version: 1

# Whose memory. `require` refuses a scope that lacks one of these; the others are what the command line means when it
# is not told (--user, --agent, --session, --tenant).
scope:
  user: "${{AGENTMEM_USER:-me}}"
#   require: [user]
#   agent: coach

# The database that holds every memory; `agentmem backup FILE` copies it while it is in use. Beside it lie
# agentmem.db.key and agentmem.db.journal, which keep an import or an older backup from bringing back what was
# forgotten: copy them too, but to another place than the backups. journal_file and tombstone_key_file move them.
log:
  type: sql
  url: {DEFAULT_URL}
#   url: "${{DATABASE_URL}}"                      # postgresql+psycopg://… for many users on many machines

# The vector index. It can be deleted at any time: it is rebuilt from the log.
vectors: exact
# vectors: {{type: chroma, path: ./chroma}}       # pip install 'pyagentmem[chroma]'

# What turns text into vectors. After a change run `agentmem reembed`.
embedder: static                                # in process: no key, no network
# embedder: {{type: openai, model: text-embedding-3-small, api_key: "${{OPENAI_API_KEY}}"}}
# embedder: {{type: onnx, model: ./all-MiniLM-L6-v2}}   # pip install 'pyagentmem[onnx]'; model.onnx and tokenizer.json
# embedder: {{type: "my_app.vectors:MyEmbedder"}}

# A model that reads the question with each of the best memories; it moves them, but never an exact match down.
# reranker: {{type: onnx, model: ./ms-marco-MiniLM-L6-v2}}
# reranker: {{type: http, base_url: "https://api.cohere.com/v2", model: rerank-v3.5, api_key: "${{COHERE_API_KEY}}"}}

# What takes facts from turns, behind the log: by rules, without a model; null takes none.
extractor: rules
# extractor: {{type: llm, budget: {{calls_per_day: 1000}}}}   # asks the llm below

# What turns many turns into few lines that cite them.
compressor: extractive
# compressor: {{type: llm, budget: {{calls_per_day: 1000}}}}  # asks the llm below

# A language model. Nothing needs one; `agentmem demo` talks to it if it is there, and the extractor llm asks it.
# llm: {{type: openai, model: gpt-5-mini, api_key: "${{OPENAI_API_KEY}}"}}

# How memories are ranked. These are the defaults; leave out what you do not change.
# retrieval:
@WEIGHTS@

# What context() puts into a prompt: its tokens, and each section's share of them; memories have the rest. `templates`
# is a folder with labels of your own for the blocks (rules.md, memories.md, …).
# context:
@CONTEXT@

# What a wrapped client may take of a call: tokens of its prompt, seconds of its time. `spill` is the folder for turns
# that cannot be stored in time: beside SQLite there is one; a server needs one named, for this database alone.
# wrap: {{max_tokens: 1000, deadline_s: 0.3, write_deadline_s: 0.3, spill: ./spill}}

# How long memories are kept; the first rule that matches decides. Unset = until they are forgotten.
# retention:
#   - {{kinds: [rule, identity], keep: true}}
#   - {{user: guest, expire_after: 12h}}
#   - {{kinds: [turn], compress_after: 30d, expire_after: 1y}}

# When sessions are compressed without being asked to; whichever comes first. Unset = only when asked.
# compression: {{after_turns: 40, idle: 30m, keep_last: 6, levels: [session, week]}}

# Which installed packages may bring backends; unset = all of them, loaded when named.
# plugins: {{allow: [agentmem-hashing]}}
"""
