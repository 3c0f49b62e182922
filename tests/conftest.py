"""What holds for all tests."""

import os

from hypothesis import HealthCheck, settings

# A deadline would measure the machine that the tests share with others, and none of our assertions is about time.
settings.register_profile("quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=20)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=100)
settings.load_profile(os.environ.get("TESTS_PROFILE", "quick"))
