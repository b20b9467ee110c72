"""The command line: ``agentmem`` and ``python -m agentmem``. Tables for people, ``--json`` for programs.

Exit codes:

    0    done
    1    nothing was found, or not everything is well (``doctor``, records that ``import`` could not take)
    2    bad usage or bad input
    3    the configuration is wrong, or something it names is missing
    4    the store: busy, full, unreachable, corrupt, or of another version
    5    refused: the scope may not do that, a conflict of versions or keys, a legal hold
    130  interrupted
    141  whoever read the output stopped reading
"""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process and exit."""
    from agentmem.cli import output
    from agentmem.cli.commands import app

    output.escape_what_cannot_be_written()
    app()
