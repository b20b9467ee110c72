"""Carrying out a journal in a database that lacks its end: nothing that was forgotten is served again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, bindparam, select

from agentmem.errors import ConfigError
from agentmem.interfaces import ErasureRequest
from agentmem.log import journal as journals
from agentmem.log import reading, receipts, tombstones
from agentmem.log.engine import Database
from agentmem.log.erasing import Desk, doom_again, erase_places, lock, with_descendants
from agentmem.log.journal import Followed, Journal, Line, Page
from agentmem.log.rows import new_id
from agentmem.log.schema import partition, version
from agentmem.log.scoping import STANDS
from agentmem.records import Finding

REASON: Final = "an older backup had brought it back"
"""What the receipts say of memories that were forgotten again."""


def follow(database: Database, journal: Journal, desk_of: Callable[[Connection, Page], Desk], *, anew: bool) -> int:
    """Bring the database up to its journal; how many memories were forgotten again, as far as they are counted.

    Args:
        anew: Begin a new journal if the one there was is gone.

    Raises:
        ConfigError: the journal that this database had is gone, or belongs to another one.
    """
    with database.reading() as connection:
        known = journals.followed(connection)
    if known is not None and not journal.exists:
        _require_accepted(database, journal, anew=anew)
    if journal.path is None:
        if known is not None:
            with database.writing() as connection:
                journals.follow(connection, None)
        return 0
    if not journal.exists:
        journal.create(instead_of=known.id if known else None)
    id = journal.id()
    if known is not None and known.id == id and known.offset >= journal.size():
        return 0
    if known is not None and known.id != id and not anew and not journal.takes_the_place_of(known.id):
        raise ConfigError(
            f"{journal.path} is the journal of another log than {database.place}.",
            hint="Put its own back, or name it: journal_file=…",
        )
    with journal.writing() as page, database.writing() as connection:
        known = journals.followed(connection)
        if known is None or known.id != id:
            known = Followed(id, 0)
        return _carry_out(desk_of(connection, page), journal, known)


def catch_up(database: Database, journal: Journal, page: Page, desk_of: Callable[[Connection, Page], Desk]) -> bool:
    """Carry out what is in the journal and not in the database; False if that is nothing.

    Under the journal's lock only a process that died can have left it: the next one must not step over its wish.
    """
    with database.reading() as connection:
        known = journals.followed(connection)
    if known is None or known.offset >= journal.size() or known.id != journal.id():
        return False
    with database.writing() as connection:
        _carry_out(desk_of(connection, page), journal, known)
    return True


def check(connection: Connection, journal: Journal) -> Finding:
    """Whether what is forgotten here would stay forgotten after a restore."""
    if journal.path is None:
        detail = "there is none: a restored backup brings back what was forgotten since"
        return Finding("journal", True, detail, "Give the log one: journal_file=…, on another disk than the backups.")
    if not journal.exists:
        return Finding(
            "journal", False, f"{journal.path} is gone", "Put the file back; until then nothing is forgotten."
        )
    known = journals.followed(connection)
    if known is None or known.id != journal.id() or known.offset > journal.size():
        return Finding("journal", False, f"{journal.path} is older than the database", "Put its last copy back.")
    return Finding("journal", True, f"{journal.path}, {journal.size():,} bytes")


def _require_accepted(database: Database, journal: Journal, *, anew: bool) -> None:
    if anew:
        return
    what = f"{database.place} keeps a journal of what was forgotten"
    if journal.path is None:
        raise ConfigError(f"{what}, and was not told where it is.", hint=f"Give it: journal_file=… {tombstones.GO_ON}")
    raise ConfigError(
        f"{what}, and {journal.path} is not there: an older backup could bring back what was forgotten.",
        hint=f"Put the file back, or name its place: journal_file=… {tombstones.GO_ON}",
    )


def _carry_out(desk: Desk, journal: Journal, known: Followed) -> int:
    """Erase what the rest of the journal says was erased; holds do not stop what was done before."""
    connection = desk.connection
    rest = list(journal.lines(known.offset))
    rows = [journals.parsed(line.payload) for line in rest if line.kind == "R"]
    receipts.take_over(connection, rows)
    journals.follow(connection, known)
    if known.offset == 0:
        # Beginning: the journal gets what the database knows, as well as the other way round.
        desk.page.bury(sorted(set(tombstones.every(connection)) - journals.buried(rest)))
    again = _erase_again(desk, rest)
    for tenant, reached in _heads(rest).items():
        if (now := receipts.head(connection, tenant)) != reached:
            desk.page.head(tenant, *now)
    desk.page.keep(connection)
    journals.follow(connection, Followed(known.id, journal.size()))
    return again


def _erase_again(desk: Desk, rest: Sequence[Line]) -> int:
    connection = desk.connection
    subjects = {bytes.fromhex(line.payload) for line in rest if line.kind == "S"}
    hashes = journals.buried(rest)
    new = hashes - tombstones.found(connection, hashes)
    again = 0
    for subject, partitions in _by_subject(desk).items() if subjects or new else ():
        owner = _owner(connection, partitions[0])
        request = ErasureRequest(new_id(), desk.clock(), requested_by="agentmem", reason=REASON)
        if tombstones.subject_hash(subject) in subjects:
            again += doom_again(desk, partitions, owner, request=request).memories
            continue
        found = {
            id: partition_id
            for partition_id in partitions
            for id in connection.execute(_IDS, {"at": partition_id}).scalars()
            if tombstones.keyed_hash(subject, id) in new
        }
        if found:
            tickets = lock(connection, partitions)
            places = with_descendants(connection, partitions, found)
            again += erase_places(desk, places, tickets, subject, owner=owner, request=request).memories
    tombstones.bury(connection, new, at=desk.now)
    return again


_IDS: Final = select(version.c.id).where(version.c.partition_id == bindparam("at")).distinct()


def _by_subject(desk: Desk) -> dict[bytes, list[int]]:
    """The standing partitions by their subjects' keys."""
    columns = select(partition.c.id, partition.c.tenant, partition.c.user_id, partition.c.agent_id)
    found: dict[bytes, list[int]] = {}
    for row in desk.connection.execute(columns.where(STANDS).order_by(partition.c.id)).mappings():
        owner = {name: row[name] for name in ("tenant", "user_id", "agent_id")}
        found.setdefault(tombstones.subject_key(desk.key, owner), []).append(row["id"])
    return found


def _owner(connection: Connection, partition_id: int) -> dict[str, str]:
    return {name: str(value) for name, value in reading.owner(connection, partition_id).items()}


def _heads(rest: Sequence[Line]) -> dict[str, tuple[int, bytes]]:
    rows = (journals.parsed(line.payload) for line in rest if line.kind in "RH")
    return {row["tenant"]: (row["place"], row["hash"]) for row in rows}
