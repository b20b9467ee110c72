"""The figures as lines of JSON: with the default embedder and with words alone, each language alone and together."""

from __future__ import annotations

import json

from agentmem.embedders.static import StaticEmbedder
from bench.languages import recalls

for name, embedder in (("default", StaticEmbedder()), ("words only", None)):
    for together in (False, True):
        for language, figures in recalls(embedder=embedder, together=together).items():
            rounded = {key: round(value, 3) for key, value in figures.items()}
            print(json.dumps({"bench": "languages", "of": language, "by": name, "together": together, **rounded}))
