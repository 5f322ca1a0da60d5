"""The demonstration, in a process of its own that has loaded nothing yet."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tifffile import imread


@pytest.mark.gui
@pytest.mark.slow
def test_the_demonstration_segments_the_sample_and_writes_what_it_found(tmp_path):
    command = [sys.executable, "-m", "napari_diffseg.widgets.demo", "-o", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (tmp_path / "demo").iterdir()}
    assert written == {"labels.ome.tif", "labels.png", "screenshot.png", "overlay.png"}
    assert imread(tmp_path / "demo" / "labels.ome.tif").max() > 1
    assert "Done" in done.stdout
