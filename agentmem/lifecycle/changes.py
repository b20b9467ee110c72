"""What changed in the log between two moments, from the versions it wrote in between. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from agentmem.records import Change, Diff, Memory, Receipt


def difference(versions: Iterable[Memory], *, start: datetime, end: datetime, receipts: Sequence[Receipt] = ()) -> Diff:
    """What the log learned in [start, end).

    Args:
        versions: Every version recorded or closed in that time.
        receipts: Those of the same subject; what they erased in that time is counted, not told.
    """
    by_id: defaultdict[str, list[Memory]] = defaultdict(list)
    for version in versions:
        by_id[version.id].append(version)
    changes = [Change(_held_at(found, start), _held_at(found, end)) for found in by_id.values()]
    changed = [change for change in changes if change.before and change.after]
    return Diff(
        added=tuple(change.after for change in changes if change.after and not change.before),
        changed=tuple(changed),
        retired=tuple(change.before for change in changes if change.before and not change.after),
        ended=tuple(change for change in changed if _ends(change)),
        erased=sum(
            receipt.memories for receipt in receipts if receipt.mode == "erase" and start <= receipt.requested_at < end
        ),
    )


def _held_at(versions: Sequence[Memory], moment: datetime) -> Memory | None:
    """The version that the log held just before the moment."""
    held = [
        version
        for version in versions
        if version.recorded_from < moment and (version.recorded_to is None or version.recorded_to >= moment)
    ]
    return max(held, key=lambda version: version.version, default=None)


def _ends(change: Change) -> bool:
    assert change.before is not None and change.after is not None
    return change.after.valid_to is not None and change.after.valid_to != change.before.valid_to
