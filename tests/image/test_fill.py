"""Which constants around an image are fill, and which are image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage import data
from skimage.transform import rotate as turn

from napari_diffseg.errors import InputError
from napari_diffseg.image.fill import (
    AUTO,
    decided_fill,
    fill_in_words,
    fill_mask,
    fill_notes,
    read_fill,
)
from napari_diffseg.image.intensity import finite_mask

RNG = np.random.default_rng(0)
CELL = data.cell()[100:400, 100:400][np.newaxis]  # bright field, 8 bit
COLORS = np.moveaxis(data.immunohistochemistry()[:240, :240], -1, 0)
NOISE = RNG.normal(size=(1, 240, 200))
Y, X = np.mgrid[:256, :256]


def content(offset=1500, gain=40):
    return CELL.astype(np.uint16) * gain + offset


def padded(image, value, widths=((20, 5), (9, 40))):
    return np.pad(image, ((0, 0), *widths), constant_values=value)


def smooth(seed, scale, shape=(256, 256)):
    blurred = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), scale)
    return (blurred - blurred.mean()) / blurred.std()


def rotated(image, angle, value, order, *, reshape=True):
    planes = [ndimage.rotate(one, angle, order=order, cval=value, reshape=reshape) for one in image]
    return np.stack(planes)


def mosaic(value):
    """Four tiles by four, each a little off its place; a quarter is missing."""
    image, frame = content(), np.full((1, 320, 320), value, np.uint16)
    for y in range(0, 300, 75):
        for x in range(0, 300, 75):
            if y >= 150 or x < 150:
                dy, dx = RNG.integers(0, 8, 2)
                frame[:, y + dy : y + dy + 80, x + dx : x + dx + 80][:, :75, :75] = image[
                    :, y : y + 75, x : x + 75
                ]
    return frame


def drifted():
    frame = np.zeros_like(content())
    frame[:, 6:, :-3] = content()[:, :-6, 3:]
    return frame


def volume(*, blank=False):
    """Planes around which there is fill; or blank planes at both ends."""
    planes = (2000 + 100 * RNG.normal(size=(1, 10, 96, 96))).astype(np.uint16)
    if blank:
        planes[:, :3] = planes[:, 8:] = 0
        return planes
    return np.pad(planes, ((0, 0), (0, 0), (8, 0), (0, 12)))


def channel_without_signal():
    image = padded(np.concatenate([content(), content()[:, ::-1]]), 0)
    return np.concatenate([image, np.zeros_like(image[:1])])


FILLED = {
    "uint16, 0 below 1500": (padded(content(), 0), 0),
    "uint16, 0 below an offset of a camera": (padded((100 + 3 * NOISE).astype(np.uint16), 0), 0),
    "uint16, 65535": (padded(content(), 65535), 65535),
    "uint8": (padded(np.clip(CELL, 30, None), 0), 0),
    "int16, its lowest": (padded((NOISE * 300).astype(np.int16), -32768), -32768),
    "float, -9999": (padded(NOISE.astype(np.float32), -9999), -9999),
    "float, the lowest of all": (
        padded(NOISE.astype(np.float32), np.finfo(np.float32).min),
        float(np.finfo(np.float32).min),
    ),
    "float beside NaN": (padded(np.where(NOISE > 3, np.nan, NOISE), -50.0), -50),
    "RGB, black": (padded(np.clip(COLORS, 20, None), 0), 0),
    "RGB, white": (padded(np.clip(COLORS, None, 240), 255), 255),
    "a channel that is all 0 too": (channel_without_signal(), 0),
    "two pixels of drift": (drifted(), 0),
    "rotated, corners": (rotated(content(), 2, 0, 1, reshape=False), 0),
    "rotated, nearest": (rotated(content(), 13, 0, 0), 0),
    "rotated, splines": (rotated(content(), 45, 0, 3), 0),
    "rotated, mixed at the rim": (turn(content()[0] * 1.0, 7, cval=0, resize=True)[None], 0),
    "mosaic, L-shaped": (mosaic(0), 0),
    "a small image in a large frame": (padded(content()[:, :150, :120], 0, ((90, 90),) * 2), 0),
    "larger than what is looked at": (np.kron(padded(content(), 0), np.ones((1, 5, 5), int)), 0),
    "planes with fill around": (volume(), 0),
    "blank planes": (volume(blank=True), 0),
}

SPOTS = np.clip(smooth(0, 8), 0, None)
BLOB = np.hypot(Y - 120, X - 140) < 100

IMAGE = {
    "bright field as it is": CELL,
    "RGB as it is": COLORS,
    "dark background, noise clipped": np.clip(NOISE * 50, 0, None).astype(np.uint16),
    "dark background, offset taken away": (np.clip(SPOTS, 0, None) * 900)[None].astype(np.uint16),
    "the same as floats": SPOTS[None].astype(np.float32),
    "background cut off at a threshold": np.where(smooth(1, 8) > 0.5, 900 + 50 * SPOTS, 0)[None],
    "one large object cut out": np.where(BLOB, 900 + 50 * smooth(2, 2), 0)[None],
    "saturated background": np.clip(180 + 120 * smooth(3, 10), 0, 255)[None].astype(np.uint8),
    "padded with 0, and has 0 and 1": padded(np.clip(NOISE * 9, 0, 200).astype(np.uint8), 0),
    "mask": (smooth(4, 10) > 0.5)[None],
    "mask as numbers": (smooth(4, 10) > 0.5)[None].astype(np.uint8) * 255,
    "drawing with straight edges": padded(np.full((1, 90, 90), 200, np.uint8), 0),
    "constant": np.full((1, 64, 64), 7, np.uint8),
    "NaN": np.full((1, 64, 64), np.nan, np.float32),
    "one channel of several is constant": np.concatenate([content(), 0 * content()]),
    "a constant that lies within the values": padded(NOISE * 100, 0.0),
    "a square cut out of the middle": np.where(np.maximum(abs(Y - 99), abs(X - 99)) < 50, 0, 1)
    * content()[:, :256, :256],
    "single black pixels": np.where(RNG.random((1, 300, 300)) < 0.02, 0, content()),
    "photons": RNG.poisson(2, (1, 128, 128)).astype(np.uint8),
}


@pytest.mark.parametrize("name", FILLED)
def test_fill_is_recognized(name):
    image, value = FILLED[name]
    assert decided_fill(AUTO, [image]) == value
    assert not (finite_mask(image, value) & (image == value).all(axis=0)).any()


@pytest.mark.parametrize("name", IMAGE)
def test_what_is_image_stays_image(name):
    assert decided_fill(AUTO, [IMAGE[name]]) is None


def test_samples_of_scikit_image_have_no_fill():
    images = [data.coins(), data.camera(), data.microaneurysms(), data.page(), data.moon()]
    assert [decided_fill(AUTO, [one[np.newaxis]]) for one in images] == [None] * 5


def test_one_value_is_fill_in_all_images_even_in_one_that_has_nothing_else():
    blank = np.zeros((1, 300, 300), np.uint16)
    assert decided_fill(AUTO, [content(), blank]) == 0
    assert decided_fill(AUTO, [content(), padded(content(), 0)]) == 0
    # What is near the value in any of them would be lost.
    dark = content(0)
    dark[:, :60] = RNG.integers(0, 30, (60, 300))
    assert decided_fill(AUTO, [dark, padded(content(), 0)]) is None


def test_the_mask_has_every_pixel_of_the_value_in_all_channels():
    image = np.array([[[0, 0, 5]], [[0, 3, 0]]], np.uint8)
    np.testing.assert_array_equal(fill_mask(image, 0), [[True, False, False]])
    np.testing.assert_array_equal(finite_mask(image, 0), [[False, True, True]])
    assert finite_mask(image, None) is None
    floats = np.where(image == 5, np.nan, image.astype(np.float32))
    np.testing.assert_array_equal(finite_mask(floats, 0), [[False, True, False]])


@pytest.mark.parametrize("value", [-9999, 300, 0.5, 1e300])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32, bool])
def test_values_that_pixels_cannot_have_are_no_fill_of_them(value, dtype):
    assert fill_mask(np.ones((1, 4, 4), dtype), value) is None


def test_a_value_is_met_as_the_pixels_hold_it():
    assert fill_mask(np.full((1, 2, 2), 0.1, np.float32), 0.1).all()


@pytest.mark.parametrize(
    ("text", "fill"),
    [("auto", AUTO), (" None ", None), ("0", 0.0), ("-9999", -9999.0), ("1e-3", 0.001)],
)
def test_what_is_typed_is_read_and_can_be_typed_again(text, fill):
    assert read_fill(text) == fill
    assert read_fill(fill_in_words(fill)) == fill


@pytest.mark.parametrize("text", ["black", "", "0,0,0", "nan", "inf"])
def test_what_is_no_fill_is_refused_in_a_sentence(text):
    with pytest.raises(InputError, match=r"is no fill; give the value .* 'auto' or 'none'\.$"):
        read_fill(text)


@pytest.mark.parametrize("fill", [np.nan, -np.inf, "black"])
def test_bad_values_are_refused_in_python_too(fill):
    with pytest.raises(InputError, match="is no fill"):
        decided_fill(fill, [content()])


def test_notes_say_what_was_done():
    assert fill_notes(None, AUTO, 0) == ()
    assert (
        "The value 0 was taken for fill around the image: 5 pixels" in fill_notes(0.0, AUTO, 5)[0]
    )
    assert "The value -9999 is fill: 5 pixels" in fill_notes(-9999.0, -9999.0, 5)[0]
    assert "no pixel of this image" in fill_notes(7.0, 7.0, 0)[0]
