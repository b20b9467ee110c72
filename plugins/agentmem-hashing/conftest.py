"""Makes ``agentmem_hashing`` importable for its tests when it is not installed."""
