"""The label of each block of a prompt: one line that says what the block is. They lie in files and may be edited.

A label is the only text of a block that is not quoted, so nothing may be in it that could be taken for the block's
own tags or lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Final

from agentmem.errors import ConfigError
from agentmem.registry import did_you_mean

STABLE_BLOCKS: Final = ("rules", "identity", "handover")
VOLATILE_BLOCKS: Final = ("untrusted", "documents", "memories", "recent")
"""In their order in a prompt: what is least to be trusted stands furthest from the user's words."""
BLOCKS: Final = (*STABLE_BLOCKS, *VOLATILE_BLOCKS)
MAX_CHARACTERS: Final = 1_000

Labels = Mapping[str, str]
"""The label of every block, by its name."""
HIDING: Final = (
    "\x00-\x1f\x7f-\xa0\xad"  # control characters, no-break space, soft hyphen
    "\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"  # joiners and marks without a shape of their own
    "\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # fillers and vowel signs that show nothing
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, line and paragraph separators, bidirectional marks
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\ufff0-\uffff"  # surrogates, variation selectors, byte order mark, specials
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # format characters
    "\U000e0000-\U000e0fff"  # tags, and the variation selectors that smuggle bytes
)
"""Characters, for a pattern's brackets, that end lines, show nothing or make others show as what they are not."""
_NO_LABEL: Final = re.compile(
    rf"[<>{HIDING}]|[^\S ]|[0-9a-fA-F]{{32}}"
    r'|\[m:[0-9a-zA-Z]+\] "|^\s*\d{4}-\d\d-\d\d\s*$'  # what a quoted line holds, and what a day's line is
)


def labels(folder: str | None = None) -> Labels:
    """The labels of the blocks: those in the folder, and ours where it has none.

    Args:
        folder: Holds ``<block>.md`` for each block whose label is to be another one.

    Raises:
        ConfigError: there is no such folder, a file in it is named for no block, or is no label.
    """
    return _own() if folder is None else {**_own(), **_in_folder(Path(folder).expanduser())}


def is_label(text: str) -> bool:
    """Whether a text can stand over a block: one line, no tag, no fence, nothing that reads like its lines."""
    return bool(text.strip()) and len(text) <= MAX_CHARACTERS and not _NO_LABEL.search(text)


@cache
def _own() -> Labels:
    folder = resources.files("agentmem.prompts") / "blocks"
    return MappingProxyType({block: (folder / f"{block}.md").read_text("utf-8").strip() for block in BLOCKS})


def _in_folder(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise ConfigError(f"context.templates: there is no folder {folder}.", hint="Name one, or leave it out.")
    found: dict[str, str] = {}
    for file in sorted(folder.glob("*.md")):
        if file.stem not in BLOCKS:
            hint = did_you_mean(file.stem, BLOCKS) or f"There are: {', '.join(BLOCKS)}."
            raise ConfigError(f"context.templates: {file.name} is named for no block of a prompt.", hint=hint)
        found[file.stem] = _label_in(file)
    return found


def _label_in(file: Path) -> str:
    try:
        text = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"context.templates: {file} cannot be read: {error}.") from None
    if not is_label(text):
        raise ConfigError(
            f"context.templates: {file} is no label of a block.",
            hint=f"It takes one line of at most {MAX_CHARACTERS} characters, without < and >, a fence, or signs that"
            " do not show, and not one that reads like a day or a quotation.",
        )
    return text
