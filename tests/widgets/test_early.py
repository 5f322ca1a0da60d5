"""What is loaded early, in a program that ends while it is loaded."""

from __future__ import annotations

import subprocess
import sys

END_SOON = """
import time
from napari_diffseg.widgets.tasks import early
early._SLOW = "slow_to_load", "there_is_no_such_module"
early.load_early()
time.sleep(0.2)
"""

SLOW = """
import time
time.sleep(1)  # until the program is about to end
import threading
threading._register_atexit(print)
"""


def test_a_program_that_ends_while_it_loads_shows_no_error(tmp_path):
    (tmp_path / "slow_to_load.py").write_text(SLOW)
    done = subprocess.run(
        [sys.executable, "-c", END_SOON], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
