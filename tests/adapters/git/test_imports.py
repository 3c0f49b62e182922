"""What it takes to import the Git client."""

import subprocess
import sys

_IMPORT = """
import sys
started = []
sys.addaudithook(lambda event, details: started.append(details) if event == "subprocess.Popen" else None)
import updater.adapters.git.client
assert "asyncssh" in sys.modules
print(started)
"""


def test_no_program_is_started_that_would_get_our_environment() -> None:
    done = subprocess.run([sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
