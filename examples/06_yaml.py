"""A memory described in YAML, and what a typing mistake in it says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from agentmem import ConfigError, MemoryManager, Scope

YAML = """\
version: 1
scope: {require: [user]}                          # a scope without a user is refused
log: {type: sql, url: "sqlite:///${DATA:-data}/agentmem.db"}
vectors: {type: exact}
embedder: {type: static}
"""

with tempfile.TemporaryDirectory() as folder:
    os.environ["DATA"] = folder
    file = Path(folder) / "agentmem.yaml"

    file.write_text(YAML, encoding="utf-8")
    with MemoryManager.from_yaml(file) as memory:
        ana = Scope(user="ana", session="monday")
        memory.store("The wifi password is on the fridge.", scope=ana)
        print("Found:", memory.retrieve("Where is the wifi password?", scope=ana, k=1)[0].content)

    file.write_text(YAML.replace("vectors:", "vektors:"), encoding="utf-8")
    try:
        MemoryManager.from_yaml(file)
    except ConfigError as error:
        print("Refused:", str(error).replace(folder, "…"))
