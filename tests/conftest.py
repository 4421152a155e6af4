"""Hypothesis profiles: `ci` repeats the same examples for ever, `nightly` searches new ones."""

from hypothesis import HealthCheck, settings

from gradcheck.threads import one_thread_a_process

one_thread_a_process()  # matrices are small here

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=30, database=None)
settings.register_profile(
    "nightly",
    deadline=None,
    max_examples=2000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # large networks are drawn on purpose
)
settings.load_profile("ci")
