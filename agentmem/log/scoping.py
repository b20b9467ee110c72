"""Who may see what: the only place where a scope becomes a condition. Every SELECT of memories goes through here.

A condition holds named parameters, so that statements are built once per kind of scope; ``parameters`` fills them.
A partition that is to be erased as a whole is nobody's from that moment on, neither to read nor to write.
"""

from __future__ import annotations

from typing import Final, Literal

from sqlalchemy import ColumnElement, and_, bindparam, or_

from agentmem.log.schema import partition
from agentmem.records import Scope

Reader = Literal["user+agent", "user", "agent"]

STANDS: Final = partition.c.doomed_by.is_(None)
"""The partitions of which there is no wish to erase them."""

_TENANT: Final = and_(partition.c.tenant == bindparam("scope_tenant"), STANDS)
_USER: Final = partition.c.user_id == bindparam("scope_user")
_AGENT: Final = partition.c.agent_id == bindparam("scope_agent")
_NO_USER: Final = partition.c.user_id == ""
_NO_AGENT: Final = partition.c.agent_id == ""


def reader(scope: Scope) -> Reader:
    """Which rule of the layers' table the scope falls under."""
    if scope.user is None:
        return "agent"
    return "user" if scope.agent is None else "user+agent"


def parameters(scope: Scope) -> dict[str, str]:
    """The values of a condition's named parameters."""
    return {"scope_tenant": scope.tenant, "scope_user": scope.user or "", "scope_agent": scope.agent or ""}


def visible(reader: Reader) -> ColumnElement[bool]:
    """The partitions that such a scope reads.

    A user with an agent: that user's rows of that agent or of none, and the agent's own layer. A user alone:
    every row of the user. An agent alone: its own layer, never a user's row.
    """
    if reader == "agent":
        return and_(_TENANT, _NO_USER, _AGENT)
    if reader == "user":
        return and_(_TENANT, _USER)
    return and_(_TENANT, or_(and_(_USER, or_(_AGENT, _NO_AGENT)), and_(_NO_USER, _AGENT)))


def writable(reader: Reader) -> ColumnElement[bool]:
    """The partitions whose rows such a scope may change: always a part of the visible ones."""
    if reader == "user+agent":
        return and_(_TENANT, _USER, _AGENT)
    return visible(reader)


def address(scope: Scope) -> dict[str, str]:
    """The one partition that this scope writes to."""
    return {"tenant": scope.tenant, "user_id": scope.user or "", "agent_id": scope.agent or ""}
