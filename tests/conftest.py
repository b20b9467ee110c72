"""How much is tried: short runs by default, campaigns by ``--hypothesis-profile=campaign`` and ``-m campaign``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadline: a busy machine must not fail a property.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile(
    "campaign",
    parent=settings.get_profile("default"),
    max_examples=2_000,
    stateful_step_count=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("default")
