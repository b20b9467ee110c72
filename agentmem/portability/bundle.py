"""Reading our own export: checked as a whole before anything of it is taken."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import cache
from itertools import groupby
from typing import Any, BinaryIO, Final

from pydantic import TypeAdapter, ValidationError

from agentmem.errors import InvalidInput
from agentmem.portability import jsonfiles
from agentmem.portability.exporter import FORMAT, FORMAT_VERSION
from agentmem.portability.found import Findings, FoundHistory, Problem
from agentmem.records import Memory
from agentmem.registry import did_you_mean

_MAX_LINE_BYTES: Final = 8 << 20
"""A memory may hold 1 MiB of text and 64 KiB of metadata, and JSON writes some characters in six bytes."""
_CHUNK: Final = 1 << 20


def is_bundle(file: BinaryIO) -> bool:
    """Whether the file begins with our manifest; the file is back at its beginning."""
    first = file.readline(jsonfiles.MAX_LINE_BYTES)
    file.seek(0)
    try:
        manifest = jsonfiles.parse(jsonfiles.decoded(first))
    except InvalidInput:
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def require_whole(file: BinaryIO, name: str) -> None:
    """Raise InvalidInput if the file is not, to the byte, what its manifest says, or of a newer format."""
    manifest: dict[str, Any] = jsonfiles.parse(jsonfiles.decoded(file.readline(jsonfiles.MAX_LINE_BYTES)))
    if manifest.get("version") != FORMAT_VERSION:
        raise InvalidInput(
            f"{name}: export format {manifest.get('version')!r}; this agentmem reads {FORMAT_VERSION}.",
            hint="pip install -U pyagentmem",
        )
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    if digest.hexdigest() != manifest.get("sha256"):
        raise InvalidInput(
            f"{name} is not what its manifest says: cut off, or changed since it was written. Nothing was imported.",
            hint="Export again; or remove the manifest line and import the rest as turns.",
        )


def from_bundle(file: BinaryIO, name: str) -> Findings:
    """Every memory of the export with its versions."""
    numbered = jsonfiles.lines(file, limit=_MAX_LINE_BYTES)
    next(numbered)  # the manifest
    read = ((f"{name}:{number}", _memory(text)) for number, text in numbered)
    for id, versions in groupby(read, key=lambda found: found[1].id if isinstance(found[1], Memory) else None):
        found = list(versions)
        if id is None:
            yield from (Problem(place, str(problem)) for place, problem in found)
        else:
            yield FoundHistory(found[0][0], tuple(memory for _, memory in found if isinstance(memory, Memory)))


def _memory(text: str | InvalidInput) -> Memory | str:
    """The memory a line holds, or why it holds none."""
    try:
        if isinstance(text, InvalidInput):
            raise text
        value = jsonfiles.parse(text)
    except InvalidInput as error:
        return str(error)
    if not isinstance(value, dict):
        return "no JSON object."
    known = [field.name for field in fields(Memory)]
    unknown = [key for key in value if key not in known]
    if unknown:
        return f"a memory has no {unknown[0]!r}. {did_you_mean(unknown[0], known)}".rstrip()
    try:
        return _adapter().validate_python(value)
    except ValidationError as error:
        item = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, item['loc']))}: {item['msg'][:1].lower()}{item['msg'][1:]}."


@cache
def _adapter() -> TypeAdapter[Memory]:
    return TypeAdapter(Memory)
