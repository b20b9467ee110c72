"""The quality bench that ships: how well the default memory finds what benchmarks ask for.

``run_quality`` and the loaders live in ``agentmem.bench.quality`` and ``agentmem.bench.datasets``.
"""
