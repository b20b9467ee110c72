"""A client that agentmem has never heard of remembers too: a shim says what is said in its calls, no more.

A package of your own registers the shim by an entry point, whose name is the package that the client comes from:

    [project.entry-points."agentmem.client"]
    parrot = "agentmem_parrot:ParrotShim"
"""

from __future__ import annotations

import copy
import tempfile

from agentmem import MemoryManager, Scope
from agentmem.clients import Attached, Bridge, ClientShim, memory_status, say
from agentmem.registry import register


class Parrot:
    """Somebody's client of somebody's model."""

    def ask(self, words: str) -> str:
        print(f"--- the model reads\n{words}\n")
        return "Noted."


class ParrotShim(ClientShim):
    """``Parrot.ask`` with memory."""

    def attach(self, client: Parrot, bridge: Bridge) -> Parrot:
        wrapped = copy.copy(client)  # the caller's own stays as it is

        def ask(words: str) -> str:
            prepared = bridge.prepare(say("user", words))  # recalls, and records what was asked; never raises
            texts = [prepared.stable, prepared.block, words]  # before the first words, before the last ones
            answer = client.ask("\n\n".join(text for text in texts if text))
            bridge.observe(prepared, say("assistant", answer))  # of an answer that broke off: complete=False
            return answer

        wrapped.ask = ask  # type: ignore[method-assign]  # on the copy alone
        wrapped.__agentmem__ = Attached(bridge, client)  # type: ignore[attr-defined]  # what unwrap() and others look for
        return wrapped


register("client", Parrot.__module__, ParrotShim)  # for this process; an installed package has its entry point

with tempfile.TemporaryDirectory() as folder:
    for session, words in (("one", "My name is Ana, and I am allergic to nuts."), ("two", "What can't I eat?")):
        with MemoryManager.open(folder) as memory:
            parrot = memory.wrap(Parrot(), scope=Scope(user="ana", session=session))
            parrot.ask(words)
            print(f"--- session {session}: memory is {memory_status(parrot)}, the client a {type(parrot).__name__}\n")
