"""Volumes: ours as a volume against ours plane by plane, thresholds, k-means and forests.

On ``vol_qcanet``, ``vol_ovule``, ``vol_gala`` and ``em_isbi2012`` (see `benchmarks.volumes_data`):
foreground IoU without scribbles at K = 3, 8 and 16 labels, each label on the side that holds most
of its voxels in the whole volume; scribble IoU, the mean of the foreground's and the background's,
with strokes on 0.3 % of the pixels of three planes; and flicker, the share of neighbours along z
with the same truth whose labels differ. Plane by plane trains on the same three planes, and
labels every plane. Of the forests' settings the one that is best on each volume is shown, which
favours them. One thread; seconds are of the processor. With ``--merge`` the rows of other methods
and volumes stay as they are::

    python -m benchmarks.volumes --data DIR
    python -m benchmarks.volumes --data DIR --only 'ours, as a volume' --merge
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.baselines.volumes import (
    SIGMAS,
    features_2d,
    features_3d,
    forest,
    kmeans,
    kmeans_on_features,
    multi_otsu,
    otsu,
)
from benchmarks.datasets import class_iou, scribble_miou
from benchmarks.machine import RESULTS, merge_results
from benchmarks.volumes_data import READERS, Volume, volumes
from napari_diffseg import Model, RunOptions, SegmentationParams, segment, train

Labels = NDArray[np.integer]
Row = dict[str, Any]
Cluster = Callable[[Volume, Sequence[int]], list[Labels]]
"""A volume and the numbers K → labels for each K."""
Spread = Callable[[Volume, Labels], Labels]
"""A volume and its scribbles → labels 1 and 2."""

N_LABELS = (3, 8, 16)
ONE_THREAD = RunOptions(threads=1)

AS_VOLUME = "ours, as a volume"
BY_PLANE = "ours, plane by plane"
ALONE = "ours, each plane on its own"
UNSUPERVISED = "Foreground IoU without scribbles"
PAINTED = "Scribble IoU"


def as_volume(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Train once on the volume; merge after the fact."""
    result = segment(volume.pixels, axes="ZYX", spacing=volume.spacing, options=ONE_THREAD)
    return [result.with_n_labels(k).labels for k in ks]


def plane_by_plane(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Train a model on the chosen planes and apply it to every plane."""
    chosen = [volume.pixels[z] for z in volume.chosen_planes]
    params = [SegmentationParams(n_labels=k) for k in ks]
    models = [train(chosen, axes="YX", params=one, options=ONE_THREAD) for one in params]
    return [apply_to_planes(model, volume) for model in models]


def each_on_its_own(volume: Volume, ks: Sequence[int]) -> list[Labels]:
    """Segment every plane without knowledge of the others."""
    results = [segment(plane, axes="YX", options=ONE_THREAD) for plane in volume.pixels]
    return [np.stack([one.with_n_labels(k).labels for one in results]) for k in ks]


def apply_to_planes(model: Model, volume: Volume) -> Labels:
    """Apply a model to every plane."""
    planes = [model.apply(plane, axes="YX", options=ONE_THREAD) for plane in volume.pixels]
    return np.stack(planes)


def painted_as_volume(volume: Volume, scribbles: Labels) -> Labels:
    """Spread the scribbles over the volume."""
    spacing = volume.spacing
    result = segment(
        volume.pixels, axes="ZYX", spacing=spacing, scribbles=scribbles, options=ONE_THREAD
    )
    return result.labels


def painted_plane_by_plane(volume: Volume, scribbles: Labels) -> Labels:
    """Train with scribbles on the painted planes and apply to every plane."""
    chosen = volume.chosen_planes
    model = train(
        [volume.pixels[z] for z in chosen],
        scribbles=[scribbles[z] for z in chosen],
        axes="YX",
        options=ONE_THREAD,
    )
    return apply_to_planes(model, volume)


def otsu_with_sides(volume: Volume, scribbles: Labels) -> Labels:
    """Cut at Otsu's threshold; the strokes say which side is which."""
    (clusters,) = otsu(volume, [2])
    painted = scribbles > 0
    bright = np.bincount(scribbles[painted & (clusters == 1)], minlength=3)[1:]
    dark = np.bincount(scribbles[painted & (clusters == 0)], minlength=3)[1:]
    # The side whose strokes are more of the bright ones than of the dark ones is bright.
    share = bright / np.maximum(bright + dark, 1)
    return np.where(clusters == 1, share.argmax() + 1, 2 - share.argmax())


CLUSTERINGS: dict[str, Cluster] = {
    AS_VOLUME: as_volume,
    BY_PLANE: plane_by_plane,
    ALONE: each_on_its_own,
    "Otsu": otsu,
    "multi-Otsu": multi_otsu,
    "k-means on intensities": kmeans,
    "k-means on 3D features": kmeans_on_features,
}

FOREST_3D = "random forest, 3D features"

SPREADS: dict[str, dict[str, Spread]] = {
    AS_VOLUME: {"": painted_as_volume},
    BY_PLANE: {"": painted_plane_by_plane},
    "Otsu": {"": otsu_with_sides},
    FOREST_3D: {
        f"up to {sigma} px": partial(forest, features=features_3d, sigma=sigma) for sigma in SIGMAS
    },
    "random forest, 2D features": {
        f"up to {sigma} px": partial(forest, features=features_2d, sigma=sigma) for sigma in SIGMAS
    },
}
"""Methods and their settings."""

METHODS = tuple(dict.fromkeys((*CLUSTERINGS, *SPREADS)))


def flicker(labels: Labels, volume: Volume) -> float:
    """Return the share of steady neighbours along z whose labels differ."""
    return float((labels[1:] != labels[:-1])[volume.steady].mean())


def sides(labels: Labels, foreground: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Put each label on the side that holds most of it: 1 background, 2 foreground."""
    area = np.bincount(labels.ravel())
    inside = np.bincount(labels[foreground], minlength=len(area))
    return (1 + (2 * inside > area).astype(np.uint8))[labels]


def scored_sides(name: str, labels: Labels, volume: Volume) -> NDArray[np.uint8]:
    """Put labels on sides; those of planes that know nothing of each other, plane by plane."""
    if name != ALONE:
        return sides(labels, volume.foreground)
    return np.stack([sides(*both) for both in zip(labels, volume.foreground, strict=True)])


def clustering_row(name: str, volume: Volume) -> Row:
    """Score a method without scribbles."""
    start = time.process_time()
    found = CLUSTERINGS[name](volume, N_LABELS)
    seconds = time.process_time() - start
    split = [scored_sides(name, labels, volume) for labels in found]
    ious = [class_iou(one, volume.truth, 2) for one in split]
    row = {
        "volume": volume.name,
        "method": name,
        **{f"K = {k}": f"{iou:.3f}" for k, iou in zip(N_LABELS, ious, strict=True)},
        "mean": f"{np.mean(ious):.3f}",
        "both sides, mean": f"{np.mean([scribble_miou(one, volume.truth) for one in split]):.3f}",
        "flicker": f"{np.mean([flicker(labels, volume) for labels in found]):.4f}",
        "flicker of the sides": f"{np.mean([flicker(one, volume) for one in split]):.4f}",
        "s": f"{seconds:.1f}",
    }
    print(*row.values(), file=sys.stderr)
    return row


def painted_row(name: str, volume: Volume, seeds: int) -> Row:
    """Score a method with scribbles; of its settings the best."""
    scribbles = [volume.painted(seed) for seed in range(seeds)]
    tried = {}
    for setting, spread in SPREADS[name].items():
        start = time.process_time()
        found = [spread(volume, one) for one in scribbles]
        seconds = (time.process_time() - start) / seeds
        mious = [scribble_miou(labels, volume.truth) for labels in found]
        tried[np.mean(mious)] = {
            "volume": volume.name,
            "method": name,
            "IoU, both sides": f"{np.mean(mious):.3f}",
            "lowest seed": f"{min(mious):.3f}",
            "foreground": f"{np.mean([class_iou(one, volume.truth, 2) for one in found]):.3f}",
            "flicker": f"{np.mean([flicker(one, volume) for one in found]):.4f}",
            "s": f"{seconds:.1f}",
            "setting": setting,
            "seeds": seeds,
        }
        print(*tried[np.mean(mious)].values(), file=sys.stderr)
    return tried[max(tried)]


def bar_rows(tables: dict[str, list[Row]]) -> list[Row]:
    """Compare ours as a volume to plane by plane and to the best of the others."""
    rows = []
    for title, score in ((UNSUPERVISED, "mean"), (PAINTED, "IoU, both sides")):
        for name in READERS:
            of_volume = {row["method"]: row for row in tables[title] if row["volume"] == name}
            if AS_VOLUME not in of_volume or BY_PLANE not in of_volume:
                continue
            ours, planes = of_volume.pop(AS_VOLUME), of_volume[BY_PLANE]
            best = max(of_volume.values(), key=lambda row: float(row[score]))
            rows.append(
                {
                    "volume": name,
                    "of": title,
                    "as a volume": ours[score],
                    "plane by plane": planes[score],
                    "best other": f"{best[score]} ({best['method']})",
                    "flicker / that of plane by plane": (
                        f"{float(ours['flicker']) / max(float(planes['flicker']), 1e-4):.2f}"
                    ),
                }
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write ``results/volumes.md`` and ``.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--only", metavar="NAME[;NAME]", help="; ".join(METHODS))
    parser.add_argument("--volumes", nargs="+", default=list(READERS), choices=READERS)
    parser.add_argument("--seeds", type=int, default=3, help="of the strokes")
    parser.add_argument("--merge", action="store_true", help="keep the other rows")
    options = parser.parse_args(arguments)
    methods = options.only.split(";") if options.only else list(METHODS)
    if unknown := [name for name in methods if name not in METHODS]:
        sys.exit(f"--only {unknown[0]!r} is not a method; there are: {', '.join(METHODS)}.")
    if not options.merge:
        (RESULTS / "volumes.json").unlink(missing_ok=True)
    for volume in volumes(options.data, options.volumes):
        keep(volume, methods, options.seeds)


def keep(volume: Volume, methods: Sequence[str], seeds: int) -> None:
    """Score the methods on one volume and keep what is known, for the whole takes long."""
    with threadpool_limits(1):
        unsupervised = [clustering_row(name, volume) for name in methods if name in CLUSTERINGS]
        painted = [painted_row(name, volume, seeds) for name in methods if name in SPREADS]
    tables = {"Volumes": [volume.facts()], UNSUPERVISED: unsupervised, PAINTED: painted}
    key = ("volume", "method", "of")
    merge_results("volumes", tables, key)
    kept = json.loads((RESULTS / "volumes.json").read_text())["tables"]
    if compared := bar_rows(kept):
        merge_results("volumes", {"Against the bar": compared}, key)


if __name__ == "__main__":
    main()
