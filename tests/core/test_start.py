"""The start from centroids: found without chance, and what the first clusters are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.cluster.vq import vq

from napari_diffseg.core.inference import calibrate
from napari_diffseg.core.network import build_network
from napari_diffseg.core.start import N_LLOYD, find_centroids, start_at_centroids
from napari_diffseg.params import SegmentationParams

PARAMS = SegmentationParams(n_features=4, n_clusters=12)


def blobs(n, n_blobs=12, seed=0):
    """Rows of inputs around some middles, (n, 6)."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(0, 2, (n_blobs, 6))
    rows = middles[rng.integers(n_blobs, size=n)] + rng.normal(0, 0.4, (n, 6))
    return rows.astype(np.float32)


def first_clusters(rows, params=PARAMS, seed=0):
    network = build_network(rows.shape[1], params, torch.Generator().manual_seed(seed))
    start_at_centroids(network, rows)
    for weight in network.parameters():
        assert torch.isfinite(weight).all()
    return calibrate(network, torch.from_numpy(rows.T.copy())[None, :, None]).numpy().ravel()


def test_as_many_centroids_as_asked_for_near_the_middles():
    rows = blobs(5000)
    centroids = find_centroids(rows, 12)
    assert centroids.shape == (12, 6)
    assert centroids.dtype == np.float32
    # Within a blob the mean distance is about 0.4 · √6 ≈ 1.
    assert vq(rows, centroids)[1].mean() < 1.1


@pytest.mark.parametrize("n", [50, 3000, N_LLOYD + 5000])
def test_no_chance_in_the_centroids(n):
    first = find_centroids(blobs(n), 12)
    np.testing.assert_array_equal(find_centroids(blobs(n), 12), first)


@pytest.mark.parametrize(
    ("rows", "n_centroids"),
    [
        (np.ones((1, 3)), 1),
        (np.ones((500, 3)), 1),
        (np.repeat([[0.0, 0.0], [1.0, 3.0]], 200, axis=0), 2),
        (np.eye(5), 5),
    ],
)
def test_no_more_centroids_than_different_pixels(rows, n_centroids):
    centroids = find_centroids(rows.astype(np.float32), 12)
    assert len(centroids) == n_centroids
    np.testing.assert_allclose(
        np.unique(centroids, axis=0), np.unique(rows.astype(np.float32), axis=0), atol=1e-6
    )


@pytest.mark.parametrize("n", [300, 6000, 20_000])
@pytest.mark.parametrize("n_blobs", [12, 200])
def test_the_first_clusters_are_the_nearest_centroids(n, n_blobs):
    rows = blobs(n, n_blobs)
    nearest = vq(rows, find_centroids(rows, 12))[0]
    # Beyond N_LLOYD pixels the statistics of a choice stand for those of all.
    assert (first_clusters(rows) == nearest).mean() > (0.99 if n <= N_LLOYD else 0.95)


def test_the_first_clusters_do_not_depend_on_the_seed():
    rows = blobs(2000)
    np.testing.assert_array_equal(first_clusters(rows, seed=0), first_clusters(rows, seed=5))


@pytest.mark.parametrize("n_values", [1, 2, 5])
def test_fewer_values_than_clusters_stay_finite_and_apart(n_values):
    rows = np.repeat(blobs(n_values), 30, axis=0)
    clusters = first_clusters(rows).reshape(n_values, 30)
    assert (clusters == clusters[:, :1]).all()
    assert len(set(clusters[:, 0].tolist())) == n_values
    assert clusters.max() < n_values, "clusters without a centroid stay out of use"
