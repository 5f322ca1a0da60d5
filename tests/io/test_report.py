from __future__ import annotations

import base64
import re
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from napari_diffseg.errors import OutputError
from napari_diffseg.io.report import write_report
from napari_diffseg.params import SegmentationParams

LABELS = np.repeat([[1, 1, 2, 0]], 3, axis=0).astype(np.uint8)
FACTS = {"version": "0.1", "params": {"n_labels": 2, "only_painted": "<auto>"}}


def report(path, labels=LABELS, channels=None, **words):
    channels = np.arange(labels.size, dtype=float).reshape(1, *labels.shape)
    write_report(path, labels, channels, title="a & b", provenance=FACTS, **words)
    return path.read_text("utf-8")


def pictures(text):
    found = re.findall(r"base64,([^']+)'", text)
    return [np.asarray(Image.open(BytesIO(base64.b64decode(one)))) for one in found]


def test_a_report_has_pictures_figures_and_parameters(tmp_path):
    names = {2: "<nucleus>"}
    text = report(tmp_path / "a.html", class_names=names, recipe="x < 1", notes=["A note."])
    image, labels, outlines = pictures(text)
    assert image.shape == labels.shape == outlines.shape == (3, 4, 3)
    assert image[0, 0, 0] == 0
    assert image[-1, -1, 0] == 255
    # One colour for each label, none the ground's.
    assert len(np.unique(labels.reshape(-1, 3), axis=0)) == 3
    assert "<td>2</td><td>3</td><td>&lt;nucleus&gt;</td><td>25.0%</td>" in text
    for part in ("a &amp; b", "x &lt; 1", "A note.", "&lt;auto&gt;", "<td>n_labels</td>"):
        assert part in text


@pytest.mark.parametrize(("design", "counts"), [("pretrained", False), ("published", True)])
def test_only_parameters_that_count_in_the_design_are_listed(tmp_path, design, counts):
    params = SegmentationParams(design=design).to_dict()
    write_report(
        tmp_path / "a.html",
        LABELS,
        np.zeros((1, *LABELS.shape)),
        title="t",
        provenance={"seconds": 1, "params": params},
    )
    text = (tmp_path / "a.html").read_text("utf-8")
    assert ("<td>momentum</td>" in text, "<td>patch_size</td>" in text) == (counts, counts)
    for name in ("seconds", "continuity_weight", "design"):
        assert f"<td>{name}</td>" in text


def test_a_volume_is_counted_whole_and_shown_in_its_middle(tmp_path):
    volume = np.stack([LABELS, LABELS * 0 + 1, LABELS])
    text = report(tmp_path / "a.html", volume)
    assert "voxels" in text
    assert "<td>1</td><td>24</td>" in text
    assert len(np.unique(pictures(text)[1].reshape(-1, 3), axis=0)) == 1


def test_large_pictures_are_thinned_out_and_what_is_not_finite_is_black(tmp_path):
    labels = np.ones((1500, 1500), np.uint8)
    pixels = np.full((1, 1500, 1500), np.nan, np.float32)
    pixels[0, :750] = 5
    write_report(tmp_path / "a.html", labels, pixels, title="t", provenance={})
    assert pictures((tmp_path / "a.html").read_text())[0].shape == (750, 750, 3)


def test_no_file_is_overwritten(tmp_path):
    report(tmp_path / "a.html")
    with pytest.raises(OutputError, match="exists already"):
        report(tmp_path / "a.html")
    assert report(tmp_path / "a.html", force=True)
