"""How much is tried: short runs by default, campaigns by ``--hypothesis-profile=campaign`` and ``-m campaign``."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from agentmem import MemoryManager

# No deadline: a busy machine must not fail a property.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile(
    "campaign",
    parent=settings.get_profile("default"),
    max_examples=2_000,
    stateful_step_count=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")


@pytest.fixture(scope="session")
def empty_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty memory, to be copied: setting one up takes as long as a hundred verbs."""
    folder = tmp_path_factory.mktemp("empty") / "memory"
    MemoryManager.open(folder, embedder=None).close()
    return folder


@pytest.fixture
def folder(empty_memory: Path, tmp_path: Path) -> Path:
    """The folder of an empty memory of the test's own."""
    shutil.copytree(empty_memory, tmp_path / "memory")
    return tmp_path / "memory"


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Starts processes that have loaded what they need and share nothing with this one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("This system cannot fork.")
    context = multiprocessing.get_context("forkserver")
    with pytest.MonkeyPatch.context() as patch:
        # Python 3.11 forgets to hand sys.path to the server.
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        context.set_forkserver_preload(["warm_children"])
        forkserver.ensure_running()
    return context
