"""``agentmem doctor``: is everything well, and if not, what mends it."""

from __future__ import annotations

import platform
import sqlite3
from importlib import metadata
from typing import Final

from agentmem.cli import output
from agentmem.cli.options import Store
from agentmem.records import Finding, Health

_SHOWN: Final = ("sqlalchemy", "pydantic", "numpy", "chromadb", "openai", "psycopg")


def examine(at: Store, *, deep: bool, fix: bool) -> int:
    """Print what ``verify`` (or ``repair``) found; 0 if all is well, else 1."""
    with at.open() as memory:
        health = memory.repair() if fix else memory.verify(deep=deep)
        if fix and deep:
            health = Health(memory.verify(deep=True).findings, health.repaired)
    versions = _versions()
    if at.json:
        output.print_json({**health.to_dict(), "versions": versions})
        return 0 if health.ok else 1
    output.show(output.table("", "", "", rows=[_row(finding) for finding in health.findings]))
    for mended in health.repaired:
        output.print_text(f"mended: {mended}")
    output.print_text(" · ".join(f"{name} {version}" for name, version in versions.items()))
    output.print_text("All is well." if health.ok else "Not all is well; see the remedies above.")
    return 0 if health.ok else 1


def _row(finding: Finding) -> tuple[str, str, str]:
    remedy = f"\n-> {finding.remedy}" if finding.remedy and not finding.ok else ""
    return "ok" if finding.ok else "WRONG", finding.name, f"{finding.detail}{remedy}"


def _versions() -> dict[str, str]:
    from agentmem import __version__

    versions = {"agentmem": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version}
    for package in _SHOWN:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
