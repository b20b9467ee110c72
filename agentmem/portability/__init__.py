"""Memories in and out: our own export, and what others write down."""

from __future__ import annotations

from agentmem.portability.exporter import export_to
from agentmem.portability.found import Problem
from agentmem.portability.importers import ImportReport, import_from

__all__ = ["ImportReport", "Problem", "export_to", "import_from"]
