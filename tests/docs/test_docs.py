"""The README, the pages of docs/ and the docstrings are programs, and they run.

Every ```python block of a page is executed, in order, in one namespace and one empty folder. A comment just before
a block may say ``<!-- not run: reason -->`` or ``<!-- file: name -->``: the block is then left out, or saved in that
folder under that name.
"""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agentmem.extractors import attributes

ROOT = Path(__file__).parents[2]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]
EXAMPLES_IN_DOCSTRINGS = [
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for file in sorted((ROOT / "agentmem").rglob("*.py"))
    if ">>> " in file.read_text()
]
_BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a page registers is known in that page only."""
    before = dict(attributes._registry)
    yield
    attributes._registry.clear()
    attributes._registry.update(before)


class Block(NamedTuple):
    """A fenced block of a page, the line its code begins at, and the comment before it."""

    language: str
    code: str
    line: int
    note: str


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found["language"], found["code"], text[: found.start("code")].count("\n") + 1, found["note"] or "")
        for found in _BLOCK.finditer(text)
    ]


def run_page(page: Path, folder: Path) -> None:
    """Execute or save the blocks of a page; tracebacks point into the page."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in blocks_of(page):
        match block.note.split(": ", 1):
            case ["file", name]:
                (folder / name).write_text(block.code)
            case ["not run", _]:
                continue
            case _ if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder that is the current one and importable; what was imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(page: Path, folder: Path) -> None:
    run_page(page, folder)


def test_every_block_is_run_saved_or_left_out_for_a_reason() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if block.note and block.language in ("python", "yaml"):
                assert re.match(r"(not run: \w+ \w+|file: [\w.]+$)", block.note), f"{page}:{block.line}: {block.note}"


def test_a_block_that_fails_fails_the_page(folder: Path) -> None:
    page = folder / "page.md"
    page.write_text("Text.\n\n```python\nx = 1\n```\n\n<!-- not run: would fail -->\n```python\n1 / 0\n```\n")
    run_page(page, folder)
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError):
        run_page(page, folder)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    paths = [link.partition("#")[0] for link in links if not re.match(r"\w+:|#", link)]
    assert [path for path in paths if not (page.parent / path).exists()] == []


@pytest.mark.parametrize("module", EXAMPLES_IN_DOCSTRINGS)
def test_examples_in_docstrings_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
