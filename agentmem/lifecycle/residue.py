"""What an erasure may have left: its words and vectors in files, and memories that say nearly the same.

The erased words are kept in memory for as long as one ``forget`` takes, and only for this. A file is searched for all
of them in one pass. Two controls keep the answer honest: a planted text must be found, and of a file whose format is
not known (an encrypted one, say) the answer is "cannot tell", never "nothing found".
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from agentmem.interfaces import EpisodicLog, Head, IndexQuery, LogQuery
from agentmem.records import Memory, Scope
from agentmem.retrieval.lexical import decode_bag, kept_terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

MAX_MEMORIES: Final = 500
"""So many erased memories are searched for."""
MAX_TEXT: Final = 8 << 20
"""So many characters of them are kept meanwhile."""
MAX_ROWS: Final = 100_000
"""Partitions of more rows are not read for their vectors, nor for what says nearly the same."""
MAX_SIMILAR: Final = 20

_SHORTEST_BYTES: Final = 16
_PIECE_CHARACTERS: Final = 48
_PIECE_BYTES: Final = 64
_LAST_BITS: Final = 8
_ROUNDING: Final = 1e-6
_COMPARED: Final = 64
"""Of so many places of a vector; what may follow them in a file is a page's end."""
_SHARED_TERMS: Final = 2 / 3
_FEWEST_TERMS: Final = 3
_NEAR: Final = 0.9
_PLAIN_BEGINNINGS: Final = (b"SQLite format 3\x00", b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"J ")
_PLAIN_SUFFIXES: Final = (".bin", ".pickle", "-shm", "-journal", ".jsonl", ".jsonl.new")


@dataclass(frozen=True)
class Evidence:
    """What is to be erased, as it reads before: texts of every version, and the vectors of current ones by text."""

    texts: tuple[str, ...] = ()
    vectors: Mapping[str, bytes] = field(default_factory=dict)
    limits: tuple[str, ...] = ()


@dataclass(frozen=True)
class Residue:
    """What a search saw, in words.

    Args:
        found: Names of the files that hold something which should not be there.
        is_whole: Whether everything was looked for in everything.
    """

    checks: tuple[str, ...]
    found: tuple[str, ...] = ()
    is_whole: bool = True


# --- before ---------------------------------------------------------------------------------------


def is_quoted(texts: Sequence[str], said: str) -> bool:
    """True if the words hold one of the texts, or as much of a long one as a search through files looks for."""
    heard = said.casefold()
    return any(piece.casefold() in heard for text in texts if is_telling(text) for piece in _pieces_of(text))


def is_telling(text: str) -> bool:
    """False for what is so short that others will have said it too."""
    return len(text.encode("utf-8")) >= _SHORTEST_BYTES


def evidence(log: EpisodicLog, scope: Scope, ids: Sequence[str] | None) -> Evidence:
    """The words and vectors of these memories and of what was derived from them; of all the scope's for None."""
    memories = _doomed(log, scope, ids)
    limits = []
    if len(memories) > MAX_MEMORIES:
        limits.append(f"only the first {MAX_MEMORIES} memories were searched for")
    memories = memories[:MAX_MEMORIES]
    texts: dict[str, None] = {}
    size = 0
    for version in (each for memory in memories for each in log.history(scope, memory.id)):
        size += len(version.content)
        if size > MAX_TEXT:
            limits.append(f"only the first {MAX_TEXT:,} characters were searched for")
            break
        texts[version.content] = None
    contents = {memory.id: memory.content for memory in memories}
    vectors: dict[str, bytes] = {}
    for head in _heads(log, scope):
        if head.seq > MAX_ROWS:
            limits.append(f"vectors of a partition of more than {MAX_ROWS:,} rows were not searched for")
            continue
        rows = log.index_rows(IndexQuery(scope, head.partition)).rows
        vectors |= {contents[row.id]: row.vector for row in rows if row.id in contents and row.vector}
    return Evidence(tuple(texts), vectors, tuple(limits))


def _doomed(log: EpisodicLog, scope: Scope, ids: Sequence[str] | None) -> list[Memory]:
    if ids is None:
        return log.read(LogQuery(scope, writable=True, retired=True, limit=MAX_MEMORIES + 1))
    found: dict[str, Memory] = {}
    frontier = log.read(LogQuery(scope, ids=tuple(ids[: MAX_MEMORIES + 1]), retired=True))
    while frontier and len(found) <= MAX_MEMORIES:
        found |= {memory.id: memory for memory in frontier}
        derived = log.read(LogQuery(scope, derived_from=tuple(memory.id for memory in frontier), retired=True))
        frontier = [memory for memory in derived if memory.id not in found]
    return list(found.values())


# --- after: files ---------------------------------------------------------------------------------


def search(log: EpisodicLog, files: Sequence[Path], evidence: Evidence) -> Residue:
    """Look for the texts and vectors in all the files."""
    texts = list(filter(is_telling, evidence.texts))
    pieces = [(text, piece) for text in texts for piece in _pieces_of(text)]
    named = [(text, form.encode("utf-8")) for text, piece in pieces for form in dict.fromkeys((piece, _in_json(piece)))]
    vectors = {text: vector for text, vector in evidence.vectors.items() if text in texts}
    named += [(text, piece) for text, vector in vectors.items() for piece in _vector_pieces(vector)]
    near = [(text, wide) for text, vector in vectors.items() for wide in _wide(vector)]
    checks = list(evidence.limits)
    if short := len(evidence.texts) - len(texts):
        checks.append(f"{short} texts are too short to be told from others, and were not searched for")
    if not files:
        return Residue((*checks, "cannot tell what files hold: there are none here to search"), is_whole=False)
    plain, unknown = _by_format(files)
    checks += [f"cannot tell what {file.name} holds: it is in no format that can be searched" for file in unknown]
    finder = Finder([needle for _, needle in named], [wide for _, wide in near])
    texts_found = [text for text, _ in (*named, *near)]
    if not _finds_what_is_planted():
        failed = "cannot tell what files hold: the search did not find what was planted"
        return Residue((*checks, failed), is_whole=False)
    checks.append("the search found what was planted")
    places: defaultdict[str, set[str]] = defaultdict(set)
    for file in plain:
        for number in finder.count(file):
            places[texts_found[number]].add(file.name)
    # Somebody else's memory may say the same words; which of the two the bytes belong to cannot be seen.
    shared = {text for text in places if any(log.copies([piece]).get(piece) for piece in _pieces_of(text))}
    found = tuple(sorted({name for text, names in places.items() if text not in shared for name in names}))
    if shared:
        checks.append(f"{len(shared)} texts are in other memories too, whose copies were left")
    size = sum(file.stat().st_size for file in plain if file.exists())
    what = f"{len(texts)} texts and {len(vectors)} vectors searched for in {len(plain)} files ({size:,} bytes)"
    checks.append(f"{what}: {'found in ' + ', '.join(found) if found else 'none found'}")
    is_whole = not unknown and not evidence.limits and bool(texts or not evidence.texts)
    return Residue(tuple(checks), found, is_whole)


class Finder:
    """Finds byte strings, of at least 8 bytes each, and float32 vectors, in one pass over a file.

    Vectors are found whatever their last bits are: an index may have made their length 1 once more. Their numbers
    follow those of the byte strings.
    """

    _BITS: Final = 20
    _CHUNK: Final = 1 << 22

    def __init__(self, needles: Sequence[bytes], near: Sequence[Floats] = ()) -> None:
        self._needles = needles
        self._near = near
        exact: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, needle in enumerate(needles):
            offset = len(needle) // 2 & ~3
            exact[int.from_bytes(needle[offset : offset + 4], "little")].append((number, offset))
        rough: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, vector in enumerate(near, len(needles)):
            words = vector.astype("<f4").view("<u4") >> _LAST_BITS
            # Two places: the rough words of one may differ where the last bits carry over.
            for place in np.argsort(-np.abs(vector))[:2].tolist():
                rough[int(words[place])].append((number, 4 * place))
        self._filed = [_Filed(exact, 0, self._BITS), _Filed(rough, _LAST_BITS, self._BITS)]

    def count(self, file: Path) -> Counter[int]:
        """Number of the needle to how often the file holds it; a file that has gone holds none."""
        if not file.exists() or not file.stat().st_size:
            return Counter()
        data: Bytes = np.memmap(file, np.uint8, "r")
        found: Counter[int] = Counter()
        for start in range(0, len(data), self._CHUNK):
            chunk = data[start : start + self._CHUNK + 3]
            for shift in range(min(4, len(chunk))):
                words = chunk[shift : shift + (len(chunk) - shift) // 4 * 4].view("<u4")
                for filed in self._filed:
                    for number, offset, places in filed.candidates(words):
                        found[number] += self._matches(data, start + shift + places - offset, number)
        return +found

    def _matches(self, data: Bytes, places: NDArray[np.int64], number: int) -> int:
        if number >= len(self._needles):
            return _near_matches(data, places, self._near[number - len(self._needles)])
        needle = self._needles[number]
        places = places[(places >= 0) & (places + len(needle) <= len(data))]
        for offset, byte in enumerate(needle):
            if not len(places):
                return 0
            places = places[data[places + offset] == byte]
        return len(places)


class _Filed:
    """Needles by one of their words, without its last bits."""

    def __init__(self, by_word: Mapping[int, Sequence[tuple[int, int]]], last_bits: int, table_bits: int) -> None:
        self._by_word = by_word
        self._last_bits = np.uint32(last_bits)
        self._shift = np.uint32(32 - table_bits)
        self._words = np.array(sorted(by_word), np.uint32)
        self._table = np.zeros(1 << table_bits, np.bool_)
        self._table[self._slots(self._words)] = True

    def candidates(self, words: NDArray[np.uint32]) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
        """(number, offset, bytes from the first of the words) of every word that a needle was filed under."""
        if not len(self._words):
            return
        rough = words >> self._last_bits
        likely = np.flatnonzero(self._table[self._slots(rough)])
        likely = likely[np.isin(rough[likely], self._words)]
        for word in np.unique(rough[likely]).tolist():
            places = likely[rough[likely] == word] * 4
            for number, offset in self._by_word[word]:
                yield number, offset, places

    def _slots(self, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return (words * np.uint32(2654435761)) >> self._shift


def _near_matches(data: Bytes, places: NDArray[np.int64], vector: Floats) -> int:
    """At how many of the places (each once) a vector stands that differs by less than a rounding."""
    size = 4 * min(len(vector), _COMPARED)
    places = np.unique(places[(places >= 0) & (places + size <= len(data))])
    read = data[places[:, None] + np.arange(size)].view("<f4") if len(places) else np.empty((0, size // 4), np.float32)
    with np.errstate(invalid="ignore"):
        return int((np.abs(read - vector[: size // 4]) < _ROUNDING).all(axis=1).sum())


def _pieces_of(text: str) -> list[str]:
    """The text, or its beginning, middle and end: a database cuts long ones up."""
    if len(text) <= _PIECE_CHARACTERS:
        return [text]
    middle = (len(text) - _PIECE_CHARACTERS) // 2
    return [text[:_PIECE_CHARACTERS], text[middle : middle + _PIECE_CHARACTERS], text[-_PIECE_CHARACTERS:]]


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _vector_pieces(vector: bytes) -> list[bytes]:
    """Beginning and end of the vector as the log has it; none that says nothing (zeros)."""
    pieces = (vector[:_PIECE_BYTES], vector[-_PIECE_BYTES:])
    return [piece for piece in pieces if len(set(piece)) >= 8 and len(piece) >= _SHORTEST_BYTES]


def _wide(vector: bytes) -> list[Floats]:
    """The vector as an index may have it: in float32, and that again of length 1."""
    wide = np.frombuffer(vector, np.float16).astype(np.float32)
    length = float(np.linalg.norm(wide))
    return [wide, wide / np.float32(length)] if length else []


def _by_format(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files whose words would be seen by searching their bytes, and others."""
    plain: list[Path] = []
    unknown: list[Path] = []
    for file in files:
        try:
            with open(file, "rb") as opened:
                beginning = opened.read(16)
        except OSError:
            unknown.append(file)
            continue
        known = not beginning or beginning.startswith(_PLAIN_BEGINNINGS) or file.name.endswith(_PLAIN_SUFFIXES)
        (plain if known else unknown).append(file)
    return plain, unknown


def _finds_what_is_planted() -> bool:
    planted = os.urandom(32)
    with tempfile.TemporaryDirectory(prefix="agentmem-") as folder:
        file = Path(folder) / "control"
        file.write_bytes(os.urandom(1_001) + planted + os.urandom(1_000))
        return Finder([os.urandom(32), planted]).count(file) == {1: 1}


# --- after: memories that say the same, or nearly -------------------------------------------------


def copies(log: EpisodicLog, scope: Scope, evidence: Evidence) -> tuple[str, ...]:
    """Ids of memories which the scope may change and that hold an erased text in whatever they say, in any version."""
    pieces = {piece for text in filter(is_telling, evidence.texts) for piece in _pieces_of(text)}
    if not pieces or sum(head.seq for head in _heads(log, scope)) > MAX_ROWS:
        return ()
    held = log.read(LogQuery(scope, writable=True, retired=True))
    return tuple(
        memory.id for memory in held if any(piece in words for words in _said(log, memory) for piece in pieces)
    )


def _said(log: EpisodicLog, memory: Memory) -> Iterator[str]:
    """Every text of the memory, former versions' too."""
    for version in log.history(memory.scope, memory.id) if memory.version > 1 else [memory]:
        yield from _strings(version.to_dict())


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield str(name)
            yield from _strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _strings(each)


def similar(log: EpisodicLog, scope: Scope, evidence: Evidence) -> tuple[str, ...]:
    """Ids of memories which the scope may change and that share most words with an erased one, nearest first."""
    asked = [terms for text in evidence.texts if len(terms := set(kept_terms(text))) >= _FEWEST_TERMS]
    erased = [np.frombuffer(vector, np.float16).astype(np.float32) for vector in evidence.vectors.values()]
    scores: dict[str, float] = {}
    for head in _heads(log, scope):
        if head.seq > MAX_ROWS:
            continue
        rows = log.index_rows(IndexQuery(scope, head.partition)).rows
        for row in rows:
            bag = decode_bag(row.terms).keys()
            shared = max((len(terms & bag) / len(terms) for terms in asked), default=0.0)
            if shared >= _SHARED_TERMS:
                scores[row.id] = shared
        with_vector = [row for row in rows if row.vector and erased and len(row.vector) == 2 * len(erased[0])]
        if with_vector:
            matrix = np.frombuffer(b"".join(row.vector or b"" for row in with_vector), np.float16)
            cosines = matrix.reshape(len(with_vector), -1).astype(np.float32) @ np.stack(erased).T
            for row, cosine in zip(with_vector, cosines.max(axis=1).tolist(), strict=True):
                if cosine >= _NEAR:
                    scores[row.id] = max(cosine, scores.get(row.id, 0.0))
    return tuple(sorted(scores, key=lambda id: (-scores[id], id))[:MAX_SIMILAR])


def _heads(log: EpisodicLog, scope: Scope) -> list[Head]:
    """The partitions that the scope may change."""
    return [
        head
        for head in log.heads(scope)
        if head.user == scope.user and (scope.agent is None or head.agent == scope.agent)
    ]
