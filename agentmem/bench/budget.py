"""How much evidence fits into so many tokens: the figures, and their plot as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from agentmem.bench.figures import Figure

if TYPE_CHECKING:
    from agentmem.manager import MemoryManager
    from agentmem.records import Scope

BUDGETS: Final = (250, 500, 1000, 2000, 4000)
Curve = Mapping[str, Mapping[int, Figure]]
"""Way of asking (``retrieve``, ``context``) to budget in tokens to the share of the evidence."""

WAYS: Final[Mapping[str, Callable[[MemoryManager, str, Scope, int], set[str]]]] = {
    "retrieve": lambda memory, query, scope, budget: {
        hit.id for hit in memory.retrieve(query, scope=scope, max_tokens=budget)
    },
    "context": lambda memory, query, scope, budget: set(
        memory.context(query, scope=scope, max_tokens=budget).citations.values()
    ),
}
"""What of memory each way shows for so many tokens."""


def shown(memory: MemoryManager, query: str, scope: Scope, gold: set[str]) -> dict[str, float]:
    """The share of the gold memories that each way shows within each budget: ``retrieve 250`` and so on."""
    return {
        f"{name} {budget}": len(gold & way(memory, query, scope, budget)) / len(gold)
        for name, way in WAYS.items()
        for budget in BUDGETS
    }


def curve(figures: Mapping[str, Figure]) -> Curve:
    """The figures of ``shown`` by way and budget; empty where nothing was asked."""
    if not figures:
        return {}
    return {way: {budget: figures[f"{way} {budget}"] for budget in BUDGETS} for way in WAYS}


# --- as a picture ---------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 400, 60, 40, 150, 50
_COLOURS: Final = ("#1f6f8b", "#d1495b", "#66a182", "#edae49", "#5f4bb6", "#2e4057")
_TEXT: Final = 'font-family="sans-serif" font-size="12" fill="#333"'


def plot(curves: Mapping[str, Curve]) -> str:
    """Recall of the evidence against tokens, as SVG; a line with its interval for each data set and way."""
    lines = {f"{data}, {way}": points for data, found in curves.items() for way, points in found.items()}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="20" {_TEXT}>Evidence within a budget: mean share of gold turns, 95 % intervals</text>',
        *_axes(),
    ]
    for number, (name, points) in enumerate(lines.items()):
        parts += _line(name, points, _COLOURS[number % len(_COLOURS)], number)
    return "\n".join([*parts, "</svg>", ""])


def _axes() -> list[str]:
    parts = []
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        parts.append(f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" {_TEXT}>{tenth / 10:.1f}</text>')
    for budget in BUDGETS:
        x = _x(budget)
        parts.append(f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle" {_TEXT}>{budget:,}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    return [*parts, f'<text x="{middle}" y="{_HEIGHT - 12}" text-anchor="middle" {_TEXT}>tokens</text>']


def _line(name: str, points: Mapping[int, Figure], colour: str, number: int) -> list[str]:
    path = " ".join(f"{_x(budget)},{_y(each.mean)}" for budget, each in points.items())
    band = [(budget, each.low) for budget, each in points.items()]
    band += [(budget, points[budget].high) for budget in reversed(list(points))]
    area = " ".join(f"{_x(budget)},{_y(share)}" for budget, share in band)
    y = _TOP + 10 + 18 * number
    x = _WIDTH - _RIGHT + 12
    return [
        f'<polygon points="{area}" fill="{colour}" opacity="0.12"/>',
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *(f'<circle cx="{_x(b)}" cy="{_y(each.mean)}" r="3" fill="{colour}"/>' for b, each in points.items()),
        f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>',
        f'<text x="{x + 16}" y="{y}" {_TEXT}>{escape(name)}</text>',
    ]


def _x(budget: int) -> float:
    """Every budget at the same distance: each is twice the one before."""
    places: Sequence[int] = BUDGETS
    return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * (places.index(budget) + 0.5) / len(places), 1)


def _y(share: float) -> float:
    return round(_HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share, 1)
