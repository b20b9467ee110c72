"""Correct a memory without losing what it said before, and forget one with a receipt."""

from __future__ import annotations

import tempfile

from agentmem import MemoryManager, MemoryNotFound, Scope, VersionConflict

ana = Scope(user="ana", session="monday")

with tempfile.TemporaryDirectory() as folder, MemoryManager.open(folder) as memory:
    phone = memory.store("My number is 555-0199.", scope=ana)
    secret = memory.store("Nobody may know that my PIN is 8731.", scope=ana)

    # A correction is a new version; the old one stays in the history.
    corrected = memory.update(phone.id, content="My number is 555-0122.", scope=ana, expected_version=1)
    print("Now:", memory.retrieve("What is my number?", scope=ana, k=1)[0].content)
    print("History:", [f"v{version.version} {version.content}" for version in memory.history(phone.id, scope=ana)])

    # Somebody who still holds version 1 is told, instead of overwriting the correction.
    try:
        memory.update(phone.id, content="My number is 555-0000.", scope=ana, expected_version=1)
    except VersionConflict as conflict:
        print("Refused:", conflict.code)

    # Forgetting erases every version; the receipt says what was done without saying what it was.
    receipt = memory.forget(secret.id, scope=ana, verify=True, reason="asked to")
    print(f"Forgotten: {receipt.memories} memory, status {receipt.status}, verified {receipt.verified}")
    try:
        memory.get(secret.id, scope=ana)
    except MemoryNotFound:
        print("Gone: by id as well")
    print("Found:", [hit.content for hit in memory.retrieve("What is my PIN?", scope=ana) if "PIN" in hit.content])
