"""What strokes ask for: a table of cases, without a window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_diffseg.image.arrays import checksum
from napari_diffseg.params import RunOptions, SegmentationParams
from napari_diffseg.widgets.image.axes_reading import read_axes
from napari_diffseg.widgets.image.layer_facts import facts_of
from napari_diffseg.widgets.image.sources import describe_source
from napari_diffseg.widgets.scribbles.other_planes import LearnFrom, choose_others
from napari_diffseg.widgets.segment.live import Answer, LiveLoop
from napari_diffseg.widgets.segment.request import RunRequest

pytestmark = pytest.mark.gui

PARAMS = SegmentationParams()
STROKES = np.eye(8, dtype=np.uint8)


@pytest.fixture(scope="module")
def source():
    layer = Image(np.zeros((8, 8)))
    viewer = ViewerModel()
    viewer.add_layer(layer)
    return describe_source([layer], viewer.dims, read_axes(facts_of(layer)))


def asked(source, params, strokes):
    others = choose_others(source, None, LearnFrom.PAINTED)
    request = RunRequest(source, params, RunOptions(), others, others.context({}))
    if strokes is None:
        return request
    return replace(request, painted=strokes, checksum=checksum(strokes))


@pytest.mark.parametrize(
    ("can_follow", "answer"), [(True, Answer.FOLLOW), (False, Answer.UNPAINTED)]
)
def test_the_last_stroke_is_erased(source, can_follow, answer):
    loop = LiveLoop()
    loop.started(asked(source, PARAMS, STROKES), is_whole=False)
    facts = {"is_busy": False, "can_follow": can_follow, "is_painted": True}
    assert loop.answer(asked(source, PARAMS, STROKES * 0), **facts) is answer


@pytest.mark.parametrize(
    ("strokes", "is_busy", "is_whole", "can_follow", "answer"),
    [
        (STROKES * 2, False, False, True, Answer.FOLLOW),
        (STROKES * 2, False, False, False, Answer.SEGMENT),
        (STROKES * 2, True, False, True, Answer.FOLLOW),
        (STROKES * 2, True, True, True, Answer.LATER),
        (STROKES, False, False, True, Answer.NOTHING),
        (STROKES, True, True, False, Answer.NOTHING),
        (STROKES * 0, False, False, True, Answer.UNPAINTED),
    ],
)
def test_what_strokes_ask_for(source, strokes, is_busy, is_whole, can_follow, answer):
    loop = LiveLoop()
    loop.started(asked(source, PARAMS, STROKES), is_whole=is_whole)
    found = loop.answer(asked(source, PARAMS, strokes), is_busy=is_busy, can_follow=can_follow)
    assert found is answer
    assert loop.is_late == (answer is Answer.LATER)


def test_the_same_strokes_with_other_parameters_are_new(source):
    loop = LiveLoop()
    loop.started(asked(source, PARAMS, STROKES), is_whole=True)
    other = replace(PARAMS, seed=3)
    facts = {"is_busy": False, "can_follow": False}
    assert loop.answer(asked(source, other, STROKES), **facts) is Answer.SEGMENT


def test_what_a_run_has_read_by_itself_is_not_known(source):
    loop = LiveLoop()
    loop.started(asked(source, PARAMS, None), is_whole=True)
    facts = {"is_busy": False, "can_follow": True}
    assert loop.answer(asked(source, PARAMS, STROKES), **facts) is Answer.FOLLOW
