"""Receipts: what forget did, as one chain of hashes per tenant. Nothing of the content, nobody's name.

An entry's hash is SHA-256 over the hash before it and the receipt as canonical JSON. Whoever was handed a finished
receipt can check it alone: ``hash_of(receipt)``. An erasure that stays pending has one entry more when it is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, func, insert, select, text

from agentmem.errors import CorruptRecord
from agentmem.interfaces import Erasure
from agentmem.log.journal import Journal, Page, followed, parsed
from agentmem.log.schema import erasure, receipt, version
from agentmem.records import Finding, Receipt

_CHAIN_LOCK: Final = 0x61676D72  # "agmr"
# Without the columns' types, which would stumble over what somebody wrote into them.
_EVERY: Final = text(
    "SELECT tenant, place, id, subject, status, body, to_drop, previous_hash, hash FROM agentmem_receipt"
    " ORDER BY tenant, place"
)

Row = Mapping[str, Any] | RowMapping


@dataclass(frozen=True, slots=True)
class ToDrop:
    """What indexes must still drop: whole partitions, and the rows that these writes (partition, seq) took away."""

    partitions: tuple[int, ...] = ()
    writes: tuple[tuple[int, int], ...] = ()

    def dumped(self) -> str:
        return json.dumps({"partitions": self.partitions, "writes": self.writes}, separators=(",", ":"))


def append(
    connection: Connection, page: Page, made: Receipt, *, tenant: str, subject: bytes, to_drop: str | None = None
) -> Receipt:
    """Put the receipt at the end of the tenant's chain; the receipt with its place in it.

    Args:
        to_drop: ``ToDrop.dumped``, while it is pending.
    """
    if connection.dialect.name == "postgresql":
        # Partitions are locked one by one, the chain is the tenant's: two forgets must not both follow one entry.
        lock = int.from_bytes(hashlib.blake2b(tenant.encode(), digest_size=4).digest(), "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:what, :tenant)"), {"what": _CHAIN_LOCK, "tenant": lock})
    place, previous = head(connection, tenant)
    made = replace(made, subject=subject.hex(), previous_hash=previous.hex(), hash=None)
    body = _body_of(made)
    hash = _hash(previous, body, to_drop)
    row = {
        "tenant": tenant,
        "place": place + 1,
        "id": made.id,
        "subject": subject,
        "status": made.status,
        "body": body,
        "to_drop": to_drop,
        "previous_hash": previous,
        "hash": hash,
    }
    connection.execute(insert(receipt), row)
    page.receipt(row)
    return replace(made, hash=hash.hex())


def close(connection: Connection, page: Page, made: Receipt) -> Receipt | None:
    """Keep what became of an erasure, if that is news; None if there is no receipt of this id."""
    found = connection.execute(select(receipt).where(receipt.c.id == made.id).order_by(receipt.c.place.desc())).first()
    if found is None:
        return None
    last = _receipt_of(found._mapping)
    # Another process may have closed it meanwhile; what this one looked for and saw is news all the same.
    is_known = last.status == "done" and (made.verified is None or last.verified is not None)
    if is_known or _told(last) == _told(made):
        return last
    to_drop = found.to_drop if made.status == "pending" else None
    return append(connection, page, made, tenant=found.tenant, subject=bytes(found.subject), to_drop=to_drop)


def of_subject(connection: Connection, tenant: str, subject: bytes) -> list[Receipt]:
    """The subject's receipts, oldest first, each as it stands now."""
    statement = select(receipt).where(receipt.c.tenant == tenant, receipt.c.subject == subject)
    latest: dict[str, Receipt] = {}
    for row in connection.execute(statement.order_by(receipt.c.place)).mappings():
        latest[row["id"]] = _receipt_of(row)
    return list(latest.values())


def unfinished(connection: Connection) -> list[tuple[Receipt, Erasure]]:
    """Receipts that are still pending, with what indexes must drop."""
    grouped = select(receipt.c.tenant, func.max(receipt.c.place).label("place"))
    latest = grouped.group_by(receipt.c.tenant, receipt.c.id).subquery()
    statement = (
        select(receipt)
        .join(latest, and_(receipt.c.tenant == latest.c.tenant, receipt.c.place == latest.c.place))
        .where(receipt.c.status == "pending")
        .order_by(receipt.c.tenant, receipt.c.place)
    )
    return [_unfinished(connection, row) for row in connection.execute(statement).mappings().all()]


def head(connection: Connection, tenant: str) -> tuple[int, bytes]:
    """Place and hash of the last entry; the tenant's own beginning where there is none."""
    columns = select(receipt.c.place, receipt.c.hash).where(receipt.c.tenant == tenant)
    row = connection.execute(columns.order_by(receipt.c.place.desc()).limit(1)).first()
    return (row[0], bytes(row[1])) if row else (0, _beginning(tenant))


def tenants(connection: Connection) -> list[str]:
    return list(connection.execute(select(receipt.c.tenant).distinct().order_by(receipt.c.tenant)).scalars())


def hash_of(made: Receipt) -> str:
    """The hash that a finished receipt must have, in hexadecimal."""
    return _hash(bytes.fromhex(made.previous_hash or ""), _body_of(made), None).hex()


# --- what can be checked --------------------------------------------------------------------------


def check(connection: Connection, journal: Journal) -> Finding:
    """Whether every chain is whole, and as long as the journal remembers; names the first place that is not."""
    count, place, previous, tenant = 0, 0, b"", None
    for row in connection.execute(_EVERY).mappings():
        if row["tenant"] != tenant:
            tenant, place, previous = row["tenant"], 0, _beginning(row["tenant"])
        place, count = place + 1, count + 1
        if wrong := _wrong(row, place, previous):
            return _broken(f"tenant {tenant!r}, receipt {place}: {wrong}")
        previous = _raw(row["hash"])
    for tenant, (last, hash) in remembered(connection, journal).items():
        there = select(receipt.c.hash).where(receipt.c.tenant == tenant, receipt.c.place == last)
        found = connection.execute(there).scalar()
        if found is None:
            return _broken(f"tenant {tenant!r}, receipt {last}: the journal holds it, the chain has lost it")
        if bytes(found) != hash:
            return _broken(f"tenant {tenant!r}, receipt {last}: it is not the one that the journal holds")
    outside = (
        "" if journal.path is not None else "; without a journal nobody would notice if the last ones were cut off"
    )
    return Finding("receipts", True, f"{count} entries, each after the one before{outside}")


def remembered(connection: Connection, journal: Journal) -> dict[str, tuple[int, bytes]]:
    """Where each tenant's chain ends by the journal, as far as this database has followed it."""
    known = followed(connection)
    if known is None or not journal.exists:
        return {}
    heads: dict[str, tuple[int, bytes]] = {}
    for line in journal.lines(until=known.offset):
        if line.kind in "RH":
            row = parsed(line.payload)
            heads[row["tenant"]] = row["place"], row["hash"]
    return {tenant: reached for tenant, reached in heads.items() if reached[0]}


def take_over(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert the entries that a journal has and an older backup lacks, as far as they follow its own."""
    by_hash: dict[tuple[str, bytes], Row] = {}
    last: dict[str, Row] = {}
    for row in rows:
        by_hash[row["tenant"], row["hash"]] = row
        last[row["tenant"]] = row
    for tenant, row in last.items():
        _, known = head(connection, tenant)
        missing = list(_back_to(known, row, by_hash))
        if missing and bytes(missing[-1]["previous_hash"]) == known:
            connection.execute(insert(receipt), [dict(row) for row in reversed(missing)])


def _back_to(known: bytes, row: Row | None, by_hash: Mapping[tuple[str, bytes], Row]) -> Iterator[Row]:
    while row is not None and row["hash"] != known:
        yield row
        row = by_hash.get((row["tenant"], row["previous_hash"]))


def _wrong(row: Row, place: int, previous: bytes) -> str | None:
    if row["place"] != place:
        return f"it is missing; the next one is {row['place']}"
    if _raw(row["previous_hash"]) != previous:
        return "it does not follow the one before"
    if _raw(row["hash"]) != _hash(previous, str(row["body"]), row["to_drop"]):
        return "it was changed"
    try:
        told = _receipt_of(row)
    except CorruptRecord:
        return "it was changed"
    if (told.id, told.status, told.subject) != (row["id"], row["status"], _raw(row["subject"]).hex()):
        return "its columns were changed"
    return None


def _broken(detail: str) -> Finding:
    return Finding("receipts", False, detail, "Somebody changed the table; compare it with a backup.")


# --- rows -----------------------------------------------------------------------------------------


def _hash(previous: bytes, body: str, to_drop: str | None) -> bytes:
    told = body if to_drop is None else f"{body}\n{to_drop}"
    return hashlib.sha256(previous + told.encode("utf-8")).digest()


def _beginning(tenant: str) -> bytes:
    """What the first entry follows: the tenant, so that two tenants' chains cannot change places."""
    return hashlib.sha256(f"agentmem receipts of {tenant}".encode()).digest()


def _raw(value: object) -> bytes:
    # What was tampered with may be anything.
    return bytes(value) if isinstance(value, bytes | memoryview) else b""


def _body_of(made: Receipt) -> str:
    fields = {name: value for name, value in made.to_dict().items() if name not in ("previous_hash", "hash")}
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _told(made: Receipt) -> tuple[Any, ...]:
    return made.status, made.remaining, made.verified, made.checks, made.similar


def _receipt_of(row: Row) -> Receipt:
    try:
        told = json.loads(row["body"])
        return Receipt(
            **told
            | {name: told[name] and datetime.fromisoformat(told[name]) for name in ("requested_at", "done_at")}
            | {name: tuple(told[name]) for name in ("remaining", "checks", "similar")},
            previous_hash=bytes(row["previous_hash"]).hex(),
            hash=bytes(row["hash"]).hex(),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptRecord(
            f"Tenant {row['tenant']!r}, receipt {row['place']}: it was changed, and cannot be read.",
            hint="Compare the table with a backup; `agentmem doctor` names every such place.",
        ) from error


def _unfinished(connection: Connection, row: Row) -> tuple[Receipt, Erasure]:
    made = _receipt_of(row)
    left = json.loads(row["to_drop"] or '{"partitions":[],"writes":[]}')
    dropped: list[tuple[int, int]] = []
    for partition_id, seq in left["writes"]:
        erased = select(erasure.c.row).where(erasure.c.partition_id == partition_id, erasure.c.seq == seq)
        closed = select(version.c.seq).where(version.c.partition_id == partition_id, version.c.closed_seq == seq)
        dropped += [(partition_id, number) for number in connection.execute(erased.union(closed)).scalars()]
    return made, Erasure(made.memories, made.rows, dropped, tuple(left["partitions"]), made.id)
