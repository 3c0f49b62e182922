"""What holds for all tests."""

import logging
import os
from collections.abc import Iterator

import pytest
import structlog
from _pytest.terminal import TerminalReporter
from hypothesis import HealthCheck, settings

# A deadline would measure the machine that the tests share with others, and none of our assertions is about time.
settings.register_profile("quick", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=20)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=100)
settings.load_profile(os.environ.get("TESTS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Undo what a command does to this process when it configures its logging: a level kept would hide events."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(False)
    structlog.reset_defaults()


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Let nothing pass for proven that was skipped, where all real servers have to be there."""
    if os.environ.get("TESTS_MAY_SKIP") == "no" and terminalreporter.stats.get("skipped"):
        pytest.exit("TESTS_MAY_SKIP=no, and a test was skipped: install what its reason names", returncode=1)
