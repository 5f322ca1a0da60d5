"""Models as files: what comes back, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from napari_diffseg import Model, ModelFileError, OutputError, SegmentationParams, segment, train
from napari_diffseg.core.model import file as model_file
from napari_diffseg.image.pixel_size import PixelSize


@pytest.fixture(scope="module")
def named(corrected):
    return corrected.model.with_facts(
        class_names={1: "ground", 4: "Zellkern µ"},
        class_colors={1: (0.0, 0.5, 1.0, 1.0)},
        pixel_size=PixelSize(0.2, 0.3, "µm"),
    )


@pytest.fixture
def file(named, tmp_path) -> Path:
    path = tmp_path / "m.safetensors"
    named.save(path)
    return path


def test_what_is_loaded_gives_the_same_labels_and_knows_the_same(named, file, scene, options):
    loaded = Model.load(file)
    apply = {"axes": "YX", "options": options}
    np.testing.assert_array_equal(
        loaded.apply(scene.image, **apply), named.apply(scene.image, **apply)
    )
    assert loaded.facts == named.facts
    assert loaded.params == named.params
    assert loaded.labels == (1, 4, 7)
    assert loaded.checksum == named.checksum
    assert loaded.to_bytes() == file.read_bytes() == named.to_bytes()


def test_colours_may_be_an_array(named):
    colors = {1: np.array([0, 0.5, 1, 1], np.float32)}
    loaded = Model.from_bytes(named.with_facts(class_colors=colors).to_bytes())
    assert loaded.facts.class_colors == named.facts.class_colors


def test_models_without_classes_and_of_the_published_design(base, scene, options):
    params = SegmentationParams.paper(n_iterations=2, n_features=6, n_clusters=6)
    published = segment(scene.image, axes="YX", params=params, options=options)
    for result in (base, published):
        loaded = Model.from_bytes(result.model.to_bytes())
        labels = loaded.apply(scene.image, axes="YX", options=options)
        np.testing.assert_array_equal(labels, result.labels)
        assert set(np.unique(labels)) <= set(loaded.labels)


def test_the_default_network_takes_less_than_a_megabyte(scene, options):
    params = SegmentationParams(n_iterations=1)
    model = segment(scene.image, axes="YX", params=params, options=options).model
    assert len(model.to_bytes()) < 1_000_000


def test_names_do_not_change_the_checksum_and_labels_do(named, base, corrected):
    assert named.checksum == corrected.model.checksum
    assert named.to_bytes() != corrected.model.to_bytes()
    assert base.model.checksum != corrected.model.checksum
    assert base.with_n_labels(2).model.checksum != base.model.checksum


def test_no_file_is_overwritten_unless_it_is_said(named, file):
    before = file.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        named.with_facts(class_names={}).save(file)
    assert file.read_bytes() == before
    named.with_facts(class_names={}).save(file, force=True)
    assert Model.load(file).facts.class_names == {}


def test_other_endings_and_missing_folders_are_refused(named, tmp_path):
    with pytest.raises(OutputError, match=r"\.safetensors"):
        named.save(tmp_path / "m.pt")
    with pytest.raises(OutputError, match="does not exist"):
        named.save(tmp_path / "nowhere" / "m.safetensors")


def test_a_full_disk_leaves_nothing(named, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        named.save(tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


# --- files that are refused ------------------------------------------------------------


def test_files_that_are_no_models_are_refused(tmp_path):
    for content in (b"", b"abc", b"\x89PNG\r\n\x1a\n" + bytes(100), bytes(5000)):
        other = tmp_path / "other.safetensors"
        other.write_bytes(content)
        with pytest.raises(ModelFileError, match="no model of this program"):
            Model.load(other)
    with pytest.raises(ModelFileError, match="does not exist"):
        Model.load(tmp_path / "none.safetensors")
    with pytest.raises(ModelFileError, match="folder"):
        Model.load(tmp_path)


def test_safetensors_of_other_programs_are_refused(tmp_path):
    from safetensors.numpy import save

    for metadata in (None, {"format": "pt"}):
        other = tmp_path / "other.safetensors"
        other.write_bytes(save({"weight": np.zeros(3)}, metadata))
        with pytest.raises(ModelFileError, match="no model of this program"):
            Model.load(other)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(file, share):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelFileError):
        Model.load(file)


def test_a_file_with_one_altered_byte_is_refused(file):
    data = bytearray(file.read_bytes())
    (length,) = struct.unpack("<Q", data[:8])
    for place in (8 + length + 1000, len(data) - 3):
        changed = data.copy()
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(ModelFileError, match="altered"):
            Model.load(file)


def rewrite(path: Path, change) -> None:
    """Change the text beside the arrays."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


def test_an_altered_number_of_labels_is_refused(file):
    def more(metadata):
        metadata["model"] = metadata["model"].replace('"n_labels": 0', '"n_labels": 13')

    rewrite(file, more)
    with pytest.raises(ModelFileError, match="altered"):
        Model.load(file)


def test_a_file_of_a_newer_version_is_refused(file):
    rewrite(file, lambda metadata: metadata.update({"napari-diffseg": "5"}))
    with pytest.raises(ModelFileError, match="newer version"):
        Model.load(file)


def test_what_a_newer_version_says_of_a_channel_is_refused(named):
    model = json.loads(model_file._json(model_file._science(named)))
    model["channels"][0]["tint"] = 2.0
    texts = json.dumps(model), model_file._json(model_file._facts(named.facts))
    arrays = model_file._arrays(named)
    digest = model_file._digest(arrays, *texts)
    metadata = {"napari-diffseg": "4", "model": texts[0], "facts": texts[1], "sha256": digest}
    with pytest.raises(ModelFileError, match=r"newer version.*a channel.*\(tint\); update"):
        Model.from_bytes(save(arrays, metadata))


def test_weights_that_are_not_those_of_the_parameters_are_refused(file):
    """With its digests right: somebody has made it so."""
    from napari_diffseg.core.model import file as model_file

    def other(metadata):
        metadata["model"] = metadata["model"].replace('"n_clusters": 12', '"n_clusters": 13')
        arrays = model_file.load(file.read_bytes())
        metadata["sha256"] = model_file._digest(arrays, metadata["model"], metadata["facts"])

    rewrite(file, other)
    with pytest.raises(ModelFileError, match="no whole model"):
        Model.load(file)


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_model_of_a_version_without_features_is_told_apart(file, number):
    """The default of those versions saw other statistics of each pixel."""
    rewrite(file, lambda metadata: metadata.update({"napari-diffseg": number}))
    with pytest.raises(ModelFileError, match="another version.*train it again"):
        Model.load(file)


def test_a_model_of_the_published_design_of_an_earlier_version_still_applies(scene, options):
    params = SegmentationParams.paper(n_iterations=2, n_features=4, n_clusters=5)
    model = segment(scene.image, axes="YX", params=params, options=options).model
    arrays = {n: a.copy() for n, a in model_file._arrays(model).items() if n != "costs"}
    science = model_file._science(model)
    science["params"]["region_size"] = 0
    texts = json.dumps(science), model_file._json(model_file._facts(model.facts))
    digest = model_file._digest(arrays, *texts)
    metadata = {"napari-diffseg": "2", "model": texts[0], "facts": texts[1], "sha256": digest}
    old = Model.from_bytes(save(arrays, metadata))
    np.testing.assert_array_equal(
        old.apply(scene.image, axes="YX", options=options),
        model.apply(scene.image, axes="YX", options=options),
    )


def test_a_wide_classifier_is_kept_and_files_of_before_have_none(base, scene, options):
    left = np.arange(scene.image.shape[1]) < 64  # sides that do not differ by themselves
    sides = np.where(np.arange(96)[:, None] % 12 < 3, np.where(left, 1, 4), 0)
    model = base.correct(sides, options=options).model
    head, _ = model.classes
    assert head.share > 0
    apply = {"axes": "YX", "options": options}
    loaded = Model.from_bytes(model.to_bytes())
    np.testing.assert_array_equal(
        loaded.apply(scene.image, **apply), model.apply(scene.image, **apply)
    )
    np.testing.assert_array_equal(loaded.classes[0].wide.weights, head.wide.weights)
    assert loaded.checksum == model.checksum
    arrays = {name: a for name, a in model_file._arrays(model).items() if name != "wide.weights"}
    science = json.loads(model_file._json(model_file._science(model)))
    del science["wide_loss"], science["wide_share"]
    texts = json.dumps(science), model_file._json(model_file._facts(model.facts))
    digest = model_file._digest(arrays, *texts)
    metadata = {"napari-diffseg": "3", "model": texts[0], "facts": texts[1], "sha256": digest}
    old = Model.from_bytes(save(arrays, metadata))
    assert old.classes[0].wide is None
    assert old.classes[0].share == 0
    np.testing.assert_array_equal(old.classes[0].weights, head.weights)
    assert set(np.unique(old.apply(scene.image, **apply))) <= {1, 4}


# --- the card --------------------------------------------------------------------------


def head_of_others(arrays, model):
    arrays["head.weights"] = arrays["head.weights"][:5].copy()


NONSENSE = {
    "no range of intensity": lambda arrays, model: model["ranges"].update(high=[]),
    "an endless range": lambda arrays, model: model["ranges"].update(low=[-np.inf]),
    "a range of nothing": lambda arrays, model: model["ranges"].update(high=[-1e9]),
    "no mean": lambda arrays, model: model["stage"].update(means=[]),
    "a mean that is a word": lambda arrays, model: model["stage"].update(means=["a"]),
    "no spread": lambda arrays, model: model["stage"].update(spread=None),
    "no first stage": lambda arrays, model: model.update(stage=None),
    "colours of one channel": lambda arrays, model: model["stage"].update(rgb=True),
    "a label below 1": lambda arrays, model: model.update(classes=[-1, 4, 7]),
    "a label too large": lambda arrays, model: model.update(classes=[2**70, 4, 7]),
    "one label twice": lambda arrays, model: model.update(classes=[4, 4, 7]),
    "clusters without a label": lambda arrays, model: arrays["numbers"].fill(0),
    "a label that no scribble can have": lambda arrays, model: arrays["numbers"].fill(2**31),
    "clusters that are not there": lambda arrays, model: arrays["merges"].fill(999),
    "a share of nothing": lambda arrays, model: model.update(wide_share=0.2),
    "an endless weight": lambda arrays, model: arrays["head.weights"].fill(np.inf),
    "clusters of another model": lambda arrays, model: arrays["clusters.weights"].resize((3, 3)),
    "components of other features": lambda arrays, model: arrays["stage.centres"].resize(7),
    "an endless cost": lambda arrays, model: arrays["costs"].fill(np.nan),
    "the classes of another model": head_of_others,
}


@pytest.mark.parametrize("change", NONSENSE.values(), ids=NONSENSE)
def test_pieces_that_do_not_belong_together_are_refused(named, change):
    """Whoever writes such a file can give it the right digest."""
    arrays = {name: array.copy() for name, array in model_file._arrays(named).items()}
    model = json.loads(model_file._json(model_file._science(named)))
    change(arrays, model)
    texts = json.dumps(model), model_file._json(model_file._facts(named.facts))
    digest = model_file._digest(arrays, *texts)
    metadata = {"napari-diffseg": "3", "model": texts[0], "facts": texts[1], "sha256": digest}
    with pytest.raises(ModelFileError, match="no whole model"):
        Model.from_bytes(save(arrays, metadata))


def test_the_card_tells_what_was_painted_from_what_was_not(scene, options):
    one = np.where(scene.strokes == 4, 5, 0)
    model = train([scene.image], scribbles=[one], options=options)
    assert model.labels == (5, 6, 7)
    card = model.with_facts(class_names={5: "five"}).card()
    assert "- 5: five\n- 6, 7: not painted (the rest)" in card
    free = train([scene.image], options=options).with_facts(class_names={1: "ground"}).card()
    assert "found without anything being painted.\n\n- 1: ground" in free
    assert "iterations" not in free, "one was asked for"


def test_the_card_tells_names_size_and_origin(named):
    card = named.card()
    for words in ("4: Zellkern µ", "7: painted, not named", "0.2 × 0.3 µm", named.checksum, "YX"):
        assert words in card
    assert "| n_clusters | 12 | 32 |" in card
    assert "painted classes: 1 4 7" in card
