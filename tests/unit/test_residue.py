"""The search for what an erasure left: it finds every way in which words and vectors lie in files, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from agentmem.lifecycle.residue import Finder


def vector(seed: int, dimensions: int = 256) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal(dimensions).astype(np.float32)
    return drawn / np.linalg.norm(drawn)


def test_every_needle_is_found_wherever_it_stands(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    choose = random.Random(seed)
    needles = [choose.randbytes(choose.randrange(8, 200)) for _ in range(50)]
    hay = bytearray(choose.randbytes(300_000))
    expected = {}
    for number in range(0, 50, 2):
        place = 6_000 * number + choose.randrange(1_000)
        hay[place : place + len(needles[number])] = needles[number]
        expected[number] = 1
    (tmp_path / "file").write_bytes(hay)
    assert Finder(needles).count(tmp_path / "file") == expected, f"seed {seed}"


@pytest.mark.parametrize("place", [0, 1, 2, 3, (1 << 22) - 20, (1 << 22) - 1, 1 << 22, (1 << 22) + 5_000 - 24])
def test_chunks_and_ends_hide_nothing(tmp_path: Path, place: int) -> None:
    needle = b"xylotheca and quincunxes"
    hay = bytearray((1 << 22) + 5_000)
    hay[place : place + len(needle)] = needle
    (tmp_path / "file").write_bytes(hay)
    assert Finder([b"something else.", needle]).count(tmp_path / "file") == {1: 1}


def test_what_occurs_often_is_counted_and_like_bytes_are_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"the cat sat on the mat. " * 1_000 + b"the cat sat on the mut. ")
    finder = Finder([b"the cat sat on the mat.", b"the cat sat on the met."])
    assert finder.count(tmp_path / "file") == {0: 1_000}


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_vector_is_found_though_its_last_bits_differ(tmp_path: Path, shift: int) -> None:
    wanted, other = vector(1), vector(2)
    again = wanted / np.float32(np.linalg.norm(wanted * np.float32(1.000001)))
    assert again.tobytes() != wanted.tobytes()
    (tmp_path / "file").write_bytes(b"-" * shift + other.tobytes() + again.tobytes() + b"end")
    found = Finder([b"no such text"], [wanted, vector(3)]).count(tmp_path / "file")
    assert set(found) == {1}


def test_an_empty_file_and_one_that_is_gone_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert Finder([b"xylotheca"]).count(tmp_path / "empty") == {}
    assert Finder([b"xylotheca"]).count(tmp_path / "gone") == {}
    assert Finder([]).count(tmp_path / "empty") == {}
