"""Times and ratios as the README states them: medians over rounds that take turns with what they are compared to."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def p50(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def report(name: str, figures: dict[str, Any], bounds: dict[str, tuple[str, float]] | None = None) -> None:
    """Print the figures as JSON, each bound as met or missed; a missed one ends the program with 1."""
    shown = {key: round(value, 3) if isinstance(value, float) else value for key, value in figures.items()}
    missed = [
        f"{key} {shown[key]} is not {sign} {bound}"
        for key, (sign, bound) in (bounds or {}).items()
        if not (figures[key] <= bound if sign == "<=" else figures[key] >= bound)
    ]
    print(json.dumps({"bench": name, **shown, "bounds": {k: f"{s} {b}" for k, (s, b) in (bounds or {}).items()}}))
    for line in missed:
        print(f"{name}: {line}", file=sys.stderr)
    if missed:
        sys.exit(1)
