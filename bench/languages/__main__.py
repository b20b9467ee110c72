"""The figures as lines of JSON: with the default embedder and with words alone, each language alone and together."""

from __future__ import annotations

import json
from itertools import product

from agentmem.embedders.static import StaticEmbedder
from bench.languages import FOLDER, KEPT_ASIDE, recalls

EMBEDDERS = {"default": StaticEmbedder(), "words only": None}

for folder, (name, embedder), together in product((FOLDER, KEPT_ASIDE), EMBEDDERS.items(), (False, True)):
    for language, figures in recalls(folder, embedder=embedder, together=together).items():
        rounded = {key: round(value, 3) for key, value in figures.items()}
        told = {"of": language, "kept_aside": folder == KEPT_ASIDE, "by": name, "together": together}
        print(json.dumps({"bench": "languages", **told, **rounded}))
