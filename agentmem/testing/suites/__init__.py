"""The conformance suites, one per role; import them from ``agentmem.testing``."""
