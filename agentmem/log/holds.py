"""Legal holds: scopes of which nothing is erased. They freeze, and show nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, or_, select, text

from agentmem.clock import Clock, from_micros, to_micros
from agentmem.errors import InvalidInput, UnderHold
from agentmem.log.reading import in_parts
from agentmem.log.schema import hold, partition
from agentmem.log.scoping import address
from agentmem.records import Hold, Scope


def place(connection: Connection, scope: Scope, reason: str, *, clock: Clock) -> Hold:
    """Hold the scope; a hold that is there for the same reason stays as it is."""
    placed = Hold(replace(scope, session=None), reason, clock())
    connection.execute(_PLACE, {**address(scope), "reason": reason, "placed_at": to_micros(placed.placed_at)})
    return _hold_of(connection.execute(select(hold).where(_is(scope), hold.c.reason == reason)).one())


def release(connection: Connection, scope: Scope, reason: str | None) -> bool:
    """End the hold of exactly this scope and reason, or its only one; False if there was none.

    Raises:
        InvalidInput: there are several, and no reason was named.
    """
    standing = select(hold.c.reason).where(_is(scope)).order_by(hold.c.placed_at, hold.c.reason)
    reasons = list(connection.execute(standing).scalars())
    if reason is None and len(reasons) > 1:
        raise InvalidInput(
            f"{replace(scope, session=None)} is under {len(reasons)} holds: {', '.join(map(repr, reasons))}.",
            hint="Name the reason of the one to release.",
        )
    ended = delete(hold).where(_is(scope), hold.c.reason.in_(reasons if reason is None else [reason]))
    return bool(connection.execute(ended).rowcount)


def covering(connection: Connection, scope: Scope) -> list[Hold]:
    """The holds that cover something the scope may change, by the day they were placed."""
    condition = and_(hold.c.tenant == scope.tenant, hold.c.user_id == (scope.user or ""))
    if scope.agent is not None:
        condition = and_(condition, or_(hold.c.agent_id == scope.agent, and_(hold.c.user_id != "", _ALL_AGENTS)))
    found = connection.execute(select(hold).where(condition).order_by(hold.c.placed_at, hold.c.agent_id, hold.c.reason))
    return [_hold_of(row) for row in found]


def is_held() -> ColumnElement[bool]:
    """Of a statement over ``partition``: that some hold covers the row's partition."""
    return exists().where(_covers)


def require_none(connection: Connection, partitions: Iterable[int]) -> None:
    """Raise UnderHold if one of the partitions is held; says whose and why, and nothing of what is held."""
    for part in in_parts(sorted(set(partitions))):
        statement = select(hold).join(partition, _covers).where(partition.c.id.in_(part)).limit(1)
        row = connection.execute(statement).first()
        if row is not None:
            held = _hold_of(row)
            raise UnderHold(
                f"{held.scope} is under a legal hold since {held.placed_at:%Y-%m-%d}: {held.reason.rstrip('.')}.",
                hint="Nothing was erased. Ask whoever placed it; release(scope=…, reason=…) ends it.",
            )


_PLACE: Final = text(
    "INSERT INTO agentmem_hold (tenant, user_id, agent_id, reason, placed_at)"
    " VALUES (:tenant, :user_id, :agent_id, :reason, :placed_at) ON CONFLICT DO NOTHING"
)
_ALL_AGENTS = hold.c.agent_id == ""
_covers = and_(
    hold.c.tenant == partition.c.tenant,
    hold.c.user_id == partition.c.user_id,
    or_(hold.c.agent_id == partition.c.agent_id, and_(hold.c.user_id != "", _ALL_AGENTS)),
)


def _is(scope: Scope) -> ColumnElement[bool]:
    owner = address(scope)
    return and_(*(hold.c[name] == value for name, value in owner.items()))


def _hold_of(row: Row[Any]) -> Hold:
    scope = Scope(user=row.user_id or None, agent=row.agent_id or None, tenant=row.tenant)
    return Hold(scope, row.reason, from_micros(row.placed_at))
