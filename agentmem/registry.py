"""Names to classes: which backend ``type: chroma`` means, and how it is built from its options.

A name is looked up among the classes registered in this process, then among the entry points of installed
packages (one group per role, ``agentmem.vectors`` and so on; ours come in by the same door), then read as
``module:Class``. Nothing is imported until it is named.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Final, NamedTuple, get_args, get_origin

from agentmem import interfaces
from agentmem.errors import ConfigError

INTERFACES: Final[Mapping[str, type]] = {
    "log": interfaces.EpisodicLog,
    "vectors": interfaces.VectorStore,
    "lexical": interfaces.LexicalIndex,
    "embedder": interfaces.Embedder,
    "reranker": interfaces.Reranker,
    "compressor": interfaces.Compressor,
    "extractor": interfaces.Extractor,
    "llm": interfaces.LLM,
    "tokens": interfaces.TokenCounter,
    "client": object,
}
"""Every role, and what a class must inherit to play it."""
ROLES: Final = tuple(INTERFACES)

_OURS: Final = "pyagentmem"
_EXTRAS: Final = {
    "chromadb": "chroma",
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "google",
    "psycopg": "postgres",
    "sentence_transformers": "sentence-transformers",
    "onnxruntime": "onnx",
}
_registered: dict[tuple[str, str], type] = {}


class Claim(NamedTuple):
    """A name that a distribution gives to a class; ``target`` is ``module:Class``."""

    role: str
    name: str
    target: str
    distribution: str
    version: str


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a backend's constructor takes; ``hint`` is Any where its annotation cannot be read."""

    name: str
    hint: Any
    required: bool
    default: Any


def register(role: str, name: str, cls: type) -> None:
    """Give a class a name in this process; it goes before the entry points of the same name.

    Raises:
        ConfigError: no such role, or the class does not inherit the role's interface.
    """
    _registered[role, name] = _checked(role, cls, f"register({role!r}, {name!r})")


def resolve(role: str, name: str, *, allow: Collection[str] | None = None) -> type:
    """The class that a name means: registered, then an entry point, then ``module:Class``.

    Args:
        allow: Distributions whose entry points may be used; None = every installed one. Ours always may.

    Raises:
        ConfigError: an unknown name (with what there is), one that two distributions claim, a class that cannot
            be imported (with the extra to install) or that does not inherit the role's interface.
    """
    _require_role(role)
    if (role, name) in _registered:
        return _registered[role, name]
    if ":" in name:
        return _checked(role, _load(name, f"{role}: {name}"), f"{role}: {name}")
    claims = [claim for claim in available(role) if claim.name == name and _allowed(claim, allow)]
    if not claims:
        raise _unknown(role, name, allow)
    if len({claim.distribution for claim in claims}) > 1:
        owners = " and ".join(sorted(f"{claim.distribution} ({claim.target})" for claim in claims))
        raise ConfigError(
            f"{role}: the name {name!r} is claimed by {owners}.",
            hint="Uninstall one, list the other alone under plugins: {allow: [...]}, or write module:Class.",
        )
    return _checked(role, _load(claims[0].target, f"{role}: {name}"), f"{role}: {name}")


def build(
    role: str,
    spec: Any,
    *,
    place: str | None = None,
    allow: Collection[str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Any:
    """A backend from its name or its ``{type: name, **options}``; an instance is given back as it is.

    ``type`` may also be the class itself.

    Args:
        place: Where the spec stands, for messages, such as ``agentmem.yaml: vectors``; unset = the role.
        given: What the caller has at hand (``clock``, ``llm`` …); passed on where the constructor takes it and the
            spec does not say otherwise.

    Raises:
        ConfigError: as for ``resolve``; an option the constructor does not take, lacks or cannot use.
    """
    place = place or role
    interface = _require_role(role)
    if interface is not object and isinstance(spec, interface):
        return spec
    name, options = _name_and_options(spec, place)
    cls = _checked(role, name, place) if isinstance(name, type) else resolve(role, name, allow=allow)
    at_hand = {key: value for key, value in (given or {}).items() if key in options_of(cls) and key not in options}
    values, problems = check_options(cls, {**at_hand, **options})
    if problems:
        raise ConfigError("; ".join(f"{place}: {problem}" for problem in problems))
    try:
        return cls(**values)
    except ImportError as error:
        raise _not_importable(f"{place}: {cls.__name__}", error) from error
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{place}: {cls.__name__} refuses its options: {error}") from error


def available(role: str | None = None) -> list[Claim]:
    """Every name that installed distributions claim, sorted; nothing is imported."""
    return [claim for claim in _claims(tuple(sys.path)) if role in (None, claim.role)]


def names(role: str, *, allow: Collection[str] | None = None) -> list[str]:
    """The names that ``resolve`` knows for a role, sorted."""
    claimed = {claim.name for claim in available(role) if _allowed(claim, allow)}
    return sorted(claimed | {name for owner, name in _registered if owner == role})


def options_of(cls: type) -> dict[str, Option]:
    """What the class's constructor takes by name, in its order."""
    empty = inspect.Parameter.empty
    try:
        signature = inspect.signature(cls, eval_str=True)
    except NameError:
        # It names types imported for type checkers only; its options are then checked by name alone.
        signature = inspect.signature(cls)
    return {
        parameter.name: Option(
            parameter.name,
            Any if isinstance(parameter.annotation, str) or parameter.annotation is empty else parameter.annotation,
            parameter.default is empty,
            parameter.default,
        )
        for parameter in signature.parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def check_options(cls: type, options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options as the constructor wants them, and a sentence for each that it does not take, lacks or cannot use.

    Values never appear in a sentence: one of them may be a key.
    """
    known = options_of(cls)
    takes = f"It takes: {', '.join(known)}." if known else "It takes no options."
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in options.items():
        if name in known:
            values[name], problem = _converted(known[name], value)
            if problem:
                problems.append(f"{cls.__name__} cannot use '{name}': {problem.rstrip('.')}.")
        elif any(parameter.kind is parameter.VAR_KEYWORD for parameter in inspect.signature(cls).parameters.values()):
            values[name] = value
        else:
            problems.append(f"{cls.__name__} takes no {name!r}. {did_you_mean(name, known)}{takes}")
    missing = [option.name for option in known.values() if option.required and option.name not in options]
    problems += [f"{cls.__name__} needs {name!r}. {takes}" for name in missing]
    return values, problems


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``Did you mean 'path'? `` (with the space behind it), or nothing if no known word is near."""
    close = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"Did you mean {close[0]!r}? " if close else ""


def takes(hint: Any, wanted: Any) -> bool:
    """Whether an annotation is the wanted type or a union that holds it: ``str | Path`` takes Path."""
    return hint is wanted or get_origin(hint) is wanted or any(takes(part, wanted) for part in get_args(hint))


def _require_role(role: str) -> type:
    if role not in INTERFACES:
        raise ConfigError(f"There is no role {role!r}. {did_you_mean(role, ROLES)}".rstrip(), hint=_listed(ROLES))
    return INTERFACES[role]


def _checked(role: str, cls: Any, place: str) -> type:
    interface = _require_role(role)
    if not (isinstance(cls, type) and issubclass(cls, interface)):
        raise ConfigError(
            f"{place}: {getattr(cls, '__qualname__', cls)!s} is no {interface.__name__}.",
            hint=f"Inherit agentmem.interfaces.{interface.__name__}.",
        )
    return cls


def _unknown(role: str, name: str, allow: Collection[str] | None) -> ConfigError:
    forbidden = sorted({claim.distribution for claim in available(role) if claim.name == name})
    if forbidden:
        return ConfigError(
            f"{role}: {name!r} comes from {', '.join(forbidden)}, which plugins.allow does not list.",
            hint=f"Add it: plugins: {{allow: [{', '.join(forbidden)}]}}.",
        )
    known = names(role, allow=allow)
    return ConfigError(
        f"{role}: there is no {name!r}. {did_you_mean(name, known)}".rstrip(),
        hint=f"{_listed(known)} A class of your own is written module:Class.",
    )


def _listed(known: Iterable[str]) -> str:
    return f"There is: {', '.join(known) or 'nothing installed'}."


def _name_and_options(spec: Any, place: str) -> tuple[str | type, dict[str, Any]]:
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and isinstance(spec.get("type"), str | type):
        return spec["type"], {str(key): value for key, value in spec.items() if key != "type"}
    raise ConfigError(
        f"{place} must be a name or a mapping with 'type', not {type(spec).__name__}.",
        hint="Write {type: name, option: value}.",
    )


def _converted(option: Option, value: Any) -> tuple[Any, str]:
    """The value as the annotation wants it, or what is wrong with it."""
    # Pydantic takes a while to import, and most options need no more than a look.
    if option.hint is Any or value is option.default or type(value) is option.hint:
        return value, ""
    from pydantic import ConfigDict, PydanticUserError, TypeAdapter, ValidationError

    if isinstance(value, str) and takes(option.hint, Callable):
        return _load(value, option.name), ""
    # Pydantic takes no configuration for a dataclass, which brings its own.
    settings = ConfigDict(arbitrary_types_allowed=True, hide_input_in_errors=True)
    try:
        adapter = TypeAdapter(option.hint, config=None if is_dataclass(option.hint) else settings)
    except PydanticUserError:
        return value, ""  # An annotation that pydantic has no check for; the constructor will judge.
    try:
        return adapter.validate_python(value), ""
    except ValidationError as error:
        return value, " or ".join(dict.fromkeys(_said(item, option) for item in error.errors(include_input=False)))


def _said(item: Any, option: Option) -> str:
    """What pydantic found, in our words; of a group of options with the name of the one that is wrong."""
    said = item["msg"].removeprefix("Value error, ")
    said = said[:1].lower() + said[1:]
    if not is_dataclass(option.hint) or not item["loc"]:
        return str(said)
    name = str(item["loc"][0])
    if item["type"] == "unexpected_keyword_argument":
        known = [each.name for each in fields(option.hint)]
        return f"there is no {name!r} in it. {did_you_mean(name, known)}It takes: {', '.join(known)}"
    return f"{name}: {said}"


def _load(target: str, place: str) -> Any:
    module_name, _, attribute = target.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise _not_importable(place, error) from error
    except Exception as error:  # A stranger's module may fail in any way when it is imported.
        raise ConfigError(f"{place}: importing {module_name} failed: {type(error).__name__}: {error}") from error
    for step in attribute.split("."):
        if not hasattr(found, step):
            classes = [name for name, value in vars(found).items() if isinstance(value, type)]
            raise ConfigError(
                f"{place}: {module_name} has no {step!r}. {did_you_mean(step, classes)}".rstrip(),
                hint="Write module:Class.",
            )
        found = getattr(found, step)
    return found


def _not_importable(place: str, error: ImportError) -> ConfigError:
    extra = _EXTRAS.get((error.name or "").partition(".")[0])
    if extra:
        return ConfigError(f"{place} needs {error.name}.", hint=f"pip install '{_OURS}[{extra}]'")
    return ConfigError(f"{place} cannot be imported: {error}.", hint="Is the package that holds it installed?")


def _allowed(claim: Claim, allow: Collection[str] | None) -> bool:
    return allow is None or claim.distribution == _OURS or claim.distribution in {_canonical(name) for name in allow}


@lru_cache(maxsize=4)
def _claims(path: tuple[str, ...]) -> tuple[Claim, ...]:
    """Every claim of the distributions on a path; read once for each state of ``sys.path``."""
    checkout = _checkout_claims()
    # Read once: asked for one group at a time, it would read the files of every installed package each time.
    points = metadata.entry_points()
    installed = [
        Claim(role, point.name, point.value, _canonical(point.dist.name), point.dist.version)
        for role in ROLES
        for point in points.select(group=f"agentmem.{role}")
        if point.dist is not None
    ]
    # The checkout that runs speaks for itself, whatever other version of us is installed beside it.
    others = [claim for claim in installed if not (checkout and claim.distribution == _OURS)]
    return tuple(sorted({*checkout, *others}))


def _checkout_claims() -> list[Claim]:
    """Our own names when the package runs from a source tree: pyproject.toml holds them, once."""
    from agentmem import __version__

    pyproject = Path(__file__).parent.parent / "pyproject.toml"
    if not pyproject.is_file():
        return []
    project = tomllib.loads(pyproject.read_text("utf-8")).get("project", {})
    if project.get("name") != _OURS:
        return []
    groups = project.get("entry-points", {})
    return [
        Claim(role, name, target, _OURS, __version__)
        for role in ROLES
        for name, target in groups.get(f"agentmem.{role}", {}).items()
    ]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
