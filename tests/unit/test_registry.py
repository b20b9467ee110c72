from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem import registry
from agentmem.errors import ConfigError
from agentmem.interfaces import Reranker, RerankRequest, TokenCounter


class CountsWords(TokenCounter):
    name = "words"
    is_exact = False

    def __init__(self, separator: str = " ", minimum: int = 0) -> None:
        self.separator = separator
        self.minimum = minimum

    def count(self, text: str) -> int:
        return max(len(text.split(self.separator)), self.minimum) if text else 0


class CountsBy(TokenCounter):
    name = "by"
    is_exact = False

    def __init__(self, function: Callable[[str], int], folder: str | Path | None = None) -> None:
        self.function = function

    def count(self, text: str) -> int:
        return self.function(text)


class NeedsChroma(TokenCounter):
    name = "chroma"
    is_exact = False

    def __init__(self) -> None:
        raise ModuleNotFoundError("No module named 'chromadb'", name="chromadb")

    def count(self, text: str) -> int:
        return 0


class Backwards(Reranker):
    def rerank(self, request: RerankRequest) -> Any:
        raise NotImplementedError


HERE = __name__


@pytest.fixture(autouse=True)
def _forget_registrations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Puts a distribution with entry points on the path, as pip would leave it."""

    def add(distribution: str, group: str, points: dict[str, str], modules: dict[str, str] | None = None) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (site / f"{module}.py").write_text(source)
        sys.path.append(str(site))

    before = list(sys.path)
    yield add
    sys.path[:] = before


def test_a_class_registered_in_this_process_is_found_by_its_name() -> None:
    registry.register("tokens", "words", CountsWords)
    assert registry.resolve("tokens", "words") is CountsWords
    assert "words" in registry.names("tokens")


def test_a_class_of_ones_own_needs_no_packaging() -> None:
    assert registry.resolve("tokens", f"{HERE}:CountsWords") is CountsWords


def test_an_installed_package_brings_its_backend_by_its_entry_point(install: Callable[..., None]) -> None:
    source = (
        "from agentmem.interfaces import TokenCounter\n"
        "class Counter(TokenCounter):\n"
        "    name, is_exact = 'stranger', False\n"
        "    def count(self, text): return 7\n"
    )
    install(
        "agentmem-stranger", "agentmem.tokens", {"stranger": "stranger_counter:Counter"}, {"stranger_counter": source}
    )
    assert "stranger_counter" not in sys.modules
    assert registry.build("tokens", "stranger").count("x") == 7
    (claim,) = [claim for claim in registry.available("tokens") if claim.name == "stranger"]
    assert (claim.distribution, claim.version) == ("agentmem-stranger", "1.2")


def test_looking_for_what_there_is_imports_nothing(install: Callable[..., None]) -> None:
    install(
        "agentmem-bad", "agentmem.tokens", {"bad": "bad_module:C"}, {"bad_module": "raise RuntimeError('imported')"}
    )
    assert "bad" in registry.names("tokens")
    with pytest.raises(ConfigError, match="importing bad_module failed: RuntimeError: imported"):
        registry.resolve("tokens", "bad")


def test_a_name_claimed_by_two_distributions_names_both(install: Callable[..., None]) -> None:
    install("agentmem-one", "agentmem.tokens", {"twin": f"{HERE}:CountsWords"})
    install("agentmem-two", "agentmem.tokens", {"twin": f"{HERE}:CountsBy"})
    with pytest.raises(ConfigError, match=r"agentmem-one .* and agentmem-two"):
        registry.resolve("tokens", "twin")
    assert registry.resolve("tokens", "twin", allow=["agentmem_two"]) is CountsBy


def test_a_distribution_that_is_not_allowed_is_not_loaded(install: Callable[..., None]) -> None:
    install("agentmem-one", "agentmem.tokens", {"only": f"{HERE}:CountsWords"})
    with pytest.raises(ConfigError, match=r"agentmem-one, which plugins\.allow does not list"):
        registry.resolve("tokens", "only", allow=[])


def test_ours_come_in_without_being_installed_and_without_being_allowed() -> None:
    pyproject = tomllib.loads((Path(registry.__file__).parent.parent / "pyproject.toml").read_text())
    stated = {
        (group.removeprefix("agentmem."), name)
        for group, points in pyproject["project"]["entry-points"].items()
        for name in points
    }
    assert stated == {(claim.role, claim.name) for claim in registry.available() if claim.distribution == "pyagentmem"}
    assert {name for role, name in stated if role == "embedder"} <= set(registry.names("embedder", allow=[]))
    assert registry.resolve("embedder", "static", allow=[]).__name__ == "StaticEmbedder"


def test_every_name_of_ours_has_a_role_that_exists() -> None:
    pyproject = tomllib.loads((Path(registry.__file__).parent.parent / "pyproject.toml").read_text())
    groups = pyproject["project"]["entry-points"]
    assert {group.removeprefix("agentmem.") for group in groups} <= set(registry.ROLES)


def test_an_unknown_name_says_what_was_meant_and_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"there is no 'chrom'. Did you mean 'chroma'\? There is: chroma, exact"):
        registry.resolve("vectors", "chrom")


def test_an_unknown_role_says_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"no role 'vector'. Did you mean 'vectors'"):
        registry.resolve("vector", "exact")


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'pyagentmem\[chroma\]'"):
        registry.build("tokens", f"{HERE}:NeedsChroma")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module_at_all:X", "cannot be imported"),
        (f"{HERE}:CountsWord", "Did you mean 'CountsWords'"),
        (f"{HERE}:Backwards", "Backwards is no TokenCounter"),
        (f"{HERE}:HERE", "is no TokenCounter"),
    ],
)
def test_what_is_no_backend_is_refused_with_a_reason(target: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        registry.resolve("tokens", target)


def test_options_go_to_the_constructor_in_its_types() -> None:
    counter = registry.build("tokens", {"type": f"{HERE}:CountsWords", "separator": "-", "minimum": "3"})
    assert (counter.separator, counter.minimum) == ("-", 3)


def test_an_instance_is_given_back_as_it_is() -> None:
    counter = CountsWords()
    assert registry.build("tokens", counter) is counter


def test_a_wrong_option_becomes_a_sentence() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.build("tokens", {"type": f"{HERE}:CountsWords", "seperator": "-"}, place="agentmem.yaml: tokens")
    assert str(caught.value) == (
        "agentmem.yaml: tokens: CountsWords takes no 'seperator'. Did you mean 'separator'? "
        "It takes: separator, minimum."
    )


def test_every_wrong_option_is_named_and_no_value_is_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        registry.build("tokens", {"type": f"{HERE}:CountsWords", "key": "hunter2", "minimum": "hunter3"})
    assert "'key'" in str(caught.value)
    assert "cannot use 'minimum': input should be a valid integer" in str(caught.value)
    assert "hunter" not in str(caught.value)


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ConfigError, match="CountsBy needs 'function'"):
        registry.build("tokens", f"{HERE}:CountsBy")


def test_a_function_is_named_as_module_and_name() -> None:
    assert registry.build("tokens", {"type": f"{HERE}:CountsBy", "function": "builtins:len"}).count("four") == 4


def test_what_the_caller_has_at_hand_is_passed_where_it_is_taken() -> None:
    counter = registry.build("tokens", f"{HERE}:CountsWords", given={"separator": "|", "clock": None})
    assert counter.separator == "|"
    said = {"type": f"{HERE}:CountsWords", "separator": "-"}
    assert registry.build("tokens", said, given={"separator": "|"}).separator == "-"


@pytest.mark.parametrize("spec", [None, 5, ["exact"], {}, {"path": "x"}, {"type": 5}])
def test_what_is_no_spec_is_refused(spec: object) -> None:
    with pytest.raises(ConfigError, match="must be a name or a mapping with 'type'"):
        registry.build("vectors", spec)
