"""Text and Markdown files, one or a whole folder of them, as documents named by the path they were given by."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agentmem.portability.found import Found, FoundDocument, Problem, Skipped
from agentmem.records import Document

MAX_FILE_BYTES: Final = 64 << 20
MARKDOWN: Final = frozenset({".md", ".markdown", ".mdown", ".mkd"})

_BOMS: Final = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LOOKED_AT: Final = 8192


def files(folder: Path) -> Iterator[Path]:
    """Every file below a folder, in the order of their paths; hidden files and links are passed over."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            # A link may lead out of the folder, or round in a circle.
            if not name.startswith(".") and file.is_file() and not file.is_symlink():
                yield file


def from_file(file: Path, *, encoding: str | None = None) -> Found:
    """The document in a file, or why there is none. Text is UTF-8 unless ``encoding`` says otherwise.

    Its name is the path as it was given: ``p1/README.md`` and ``p2/README.md`` are two documents, and a relative path
    says nothing about the machine.
    """
    name = file.as_posix()
    try:
        size = file.stat().st_size
        raw = file.read_bytes() if size <= MAX_FILE_BYTES else b""
    except OSError as error:
        return Problem(name, f"cannot be read: {error.strerror}.")
    if size > MAX_FILE_BYTES:
        return Problem(name, f"{size:,} bytes; a document may have {MAX_FILE_BYTES:,}.")
    bom = next((found for mark, found in _BOMS if raw.startswith(mark)), None)
    if encoding is None and bom:
        return Problem(name, f"begins like {bom.upper()}. Say that its encoding is {bom}.")
    if encoding is None and b"\x00" in raw[:_LOOKED_AT]:
        return Skipped("binary file")
    try:
        text = raw.decode(encoding or "utf-8-sig")
    except UnicodeDecodeError as error:
        said = f"not {encoding or 'UTF-8'} at byte {error.start} (0x{raw[error.start]:02x})."
        return Problem(name, said if encoding else f"{said} Say its encoding, such as latin-1.")
    if not text.strip():
        return Skipped("empty file")
    return FoundDocument(
        name, Document(text, name=name, media_type="text/markdown" if file.suffix.lower() in MARKDOWN else "text/plain")
    )
