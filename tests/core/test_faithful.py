"""The training loop against a second, plain version of the published equations.

The version below shares nothing with the source: it is written from Kim et al. 2020
(Sec. III-A to III-C, Algorithm 1) and Kanezaki 2018 (Sec. 2.2), with the means of the
published program, pixel by pixel where that is plainest. Both start from the same
weights and the same image, and count in float64: self-labelling is chaotic, so that in
float32 two right programs drift apart after some ten iterations.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import astronaut
from skimage.segmentation import slic

from napari_diffseg.core.published.clustering_net import build_network
from napari_diffseg.core.published.inference import calibrate
from napari_diffseg.core.published.losses import IGNORED
from napari_diffseg.core.published.sample import Sample
from napari_diffseg.core.published.training import StopReason, train
from napari_diffseg.core.segmentation import segment
from napari_diffseg.params import RunOptions, SegmentationParams

N_ITERATIONS = 20


def standardize(channels, scale, shift):
    """Intra-axis normalisation: each channel over its N pixels, then scale and shift."""
    mean = channels.mean(dim=1, keepdim=True)
    variance = ((channels - mean) ** 2).mean(dim=1, keepdim=True)
    return (channels - mean) / torch.sqrt(variance + 1e-5) * scale[:, None] + shift[:, None]


def convolve(image, weight, bias):
    """3×3 convolution with zero padding, as a sum over the nine shifts."""
    _, height, width = image.shape
    padded = image.new_zeros(image.shape[0], height + 2, width + 2)
    padded[:, 1:-1, 1:-1] = image
    total = bias[:, None, None].expand(-1, height, width)
    for dy in range(3):
        for dx in range(3):
            window = padded[:, dy : dy + height, dx : dx + width]
            total = total + torch.einsum("oi,ihw->ohw", weight[:, :, dy, dx], window)
    return total


def plain_response(image, weights):
    """r′ (q × N): M times (convolution, ReLU, batch norm), 1×1 convolution, batch norm."""
    _, height, width = image.shape
    features = image
    for weight, bias, scale, shift in weights["blocks"]:
        activated = torch.clamp(convolve(features, weight, bias), min=0).reshape(len(weight), -1)
        features = standardize(activated, scale, shift).reshape(-1, height, width)
    response = weights["classifier"] @ features.reshape(features.shape[0], -1)
    return standardize(response, *weights["normalization"])


def plain_losses(response, targets, shape, painted=None):
    height, width = shape
    log_probability = response - torch.logsumexp(response, dim=0)
    if painted is None:
        painted = np.full(shape, -1)
    # L_sim: softmax cross-entropy against the target cluster, mean over the N pixels; with
    # scribbles over those that are not painted. L_scr: the same against the painted class
    # (class i is channel i), mean over those that are.
    channels = painted.ravel()
    free, given = np.flatnonzero(channels < 0), np.flatnonzero(channels >= 0)
    similarity = -log_probability[targets[free], free].sum() / len(free)
    scribble = -log_probability[channels[given], given].sum() / max(len(given), 1)
    # L_con: L1 differences down and right; mean over pairs and channels, per axis.
    grid = response.reshape(-1, height, width)
    down = (grid[:, 1:, :] - grid[:, :-1, :]).abs().mean()
    right = (grid[:, :, 1:] - grid[:, :, :-1]).abs().mean()
    return similarity, down + right, scribble


def plain_vote(clusters, superpixels):
    refined = clusters.clone()
    for superpixel in range(superpixels.max() + 1):
        inside = torch.from_numpy((superpixels == superpixel).ravel())
        indices, counts = np.unique(clusters[inside].numpy(), return_counts=True)
        refined[inside] = int(indices[np.argmax(counts)])
    return refined


def plain_training(
    image, weights, mu, lr, momentum, superpixels, n_iterations, painted=None, nu=0.5, floor=0
):
    """Algorithm 1 with momentum SGD (v ← 0.9 v + g, w ← w − lr v)."""
    tensors = [t for block in weights["blocks"] for t in block]
    tensors += [weights["classifier"], *weights["normalization"]]
    velocity = [torch.zeros_like(t) for t in tensors]
    history = []
    for _ in range(n_iterations):
        response = plain_response(image, weights)
        targets = response.detach().argmax(dim=0)
        n_clusters = len(np.unique(targets.numpy()))
        if superpixels is not None:
            targets = plain_vote(targets, superpixels)
        losses = plain_losses(response, targets, image.shape[1:], painted)
        similarity, continuity, scribble = losses
        loss = similarity + mu * continuity + nu * scribble
        gradients = torch.autograd.grad(loss, tensors)
        with torch.no_grad():
            for tensor, speed, gradient in zip(tensors, velocity, gradients, strict=True):
                speed.mul_(momentum).add_(gradient)
                tensor.sub_(lr * speed)
        history.append((*(part.item() for part in losses), n_clusters))
        if n_clusters <= floor:
            break
    final = plain_response(image, weights).detach().argmax(dim=0)
    return history, final.reshape(image.shape[1:]).numpy()


def copy_weights(network):
    """The network's weights as plain tensors."""

    def own(tensor):
        return tensor.detach().clone().requires_grad_(True)

    return {
        "blocks": [
            (own(conv.weight), own(conv.bias), own(norm.weight), own(norm.bias))
            for conv, _, norm in network.blocks
        ],
        "classifier": own(network.classifier.weight[:, :, 0, 0]),
        "normalization": (own(network.normalization.weight), own(network.normalization.bias)),
    }


@pytest.fixture(scope="module")
def photo():
    """40 × 52 RGB pixels of a real photograph, 0 … 1."""
    return np.ascontiguousarray(astronaut()[60:100, 180:232]).astype(np.float64) / 255


@pytest.mark.parametrize("with_superpixels", [False, True], ids=["continuity", "superpixels"])
def test_losses_and_labels_follow_the_equations(photo, with_superpixels):
    params = SegmentationParams.paper(
        n_features=24, n_clusters=24, n_iterations=N_ITERATIONS, min_labels=1
    )
    image = torch.from_numpy(photo.transpose(2, 0, 1).copy())
    superpixels = slic(photo, 60, start_label=0) if with_superpixels else None
    mu = 0.0 if with_superpixels else 5.0
    params = SegmentationParams.from_dict({**params.to_dict(), "continuity_weight": mu})

    network = build_network(3, params, torch.Generator().manual_seed(7)).double()
    weights = copy_weights(network)
    expected, expected_clusters = plain_training(
        image, weights, mu, 0.1, 0.9, superpixels, N_ITERATIONS
    )
    votes = None if superpixels is None else torch.from_numpy(superpixels)[None]
    n_superpixels = 0 if superpixels is None else int(superpixels.max()) + 1
    whole = Sample(image[None], superpixels=votes, n_superpixels=n_superpixels)
    history = list(train(network, whole, params, torch.Generator()))
    clusters = calibrate(network, whole.inputs)

    assert len(history) == N_ITERATIONS
    np.testing.assert_allclose(
        [(facts.similarity, facts.continuity) for facts in history],
        [(similarity, continuity) for similarity, continuity, *_ in expected],
        rtol=1e-6,
    )
    assert [facts.n_clusters for facts in history] == [n for *_, n in expected]
    np.testing.assert_array_equal(clusters[0], expected_clusters)
    assert history[0].n_clusters > history[-1].n_clusters > 1


# Where class 0, 1, 2 … is painted: rows and columns.
STROKES = [
    (slice(4, 6), slice(6, 30)),
    (slice(18, 33), slice(10, 12)),
    (slice(30, 31), slice(30, 50)),
]


def strokes(shape, n_classes):
    """Index of the painted class; −1 elsewhere."""
    painted = np.full(shape, -1)
    for channel, stroke in enumerate(STROKES[:n_classes]):
        painted[stroke] = channel
    return painted


@pytest.mark.parametrize("with_superpixels", [False, True], ids=["continuity", "superpixels"])
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_losses_and_labels_follow_the_equations_with_scribbles(photo, n_classes, with_superpixels):
    params = SegmentationParams.paper(
        n_features=24, n_clusters=24, n_iterations=N_ITERATIONS, min_labels=n_classes
    )
    assert (params.continuity_weight, params.scribble_weight) == (5.0, 0.5)
    image = torch.from_numpy(photo.transpose(2, 0, 1).copy())
    painted = strokes(photo.shape[:2], n_classes)
    superpixels = slic(photo, 60, start_label=0) if with_superpixels else None
    network = build_network(3, params, torch.Generator().manual_seed(7)).double()
    weights = copy_weights(network)
    expected, expected_clusters = plain_training(
        image, weights, 5.0, 0.1, 0.9, superpixels, N_ITERATIONS, painted, 0.5, n_classes
    )
    whole = Sample(
        image[None],
        superpixels=None if superpixels is None else torch.from_numpy(superpixels)[None],
        n_superpixels=0 if superpixels is None else int(superpixels.max()) + 1,
        painted=torch.from_numpy(np.where(painted < 0, IGNORED, painted))[None],
    )
    history = list(train(network, whole, params, torch.Generator()))
    clusters = calibrate(network, whole.inputs)

    assert len(history) == len(expected) > 1
    np.testing.assert_allclose(
        [(facts.similarity, facts.continuity, facts.scribble) for facts in history],
        [parts for *parts, _ in expected],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        [facts.loss for facts in history],
        [sim + 5.0 * con + 0.5 * scr for sim, con, scr, _ in expected],
        rtol=1e-6,
    )
    assert [facts.n_clusters for facts in history] == [n for *_, n in expected]
    np.testing.assert_array_equal(clusters[0], expected_clusters)
    assert history[-1].scribble < history[0].scribble


def test_a_whole_run_with_scribbles_is_that_loop_with_as_many_labels_as_classes_at_least(photo):
    """What `segment` hands to the loop: class i in order of number, ν, the floor, the start."""
    params = SegmentationParams.paper(n_features=12, n_clusters=12, n_iterations=5, min_labels=9)
    painted = strokes(photo.shape[:2], 3)
    numbers = np.array([0, 2, 30, 500])  # unpainted, and the number of class 0, 1, 2
    image = (photo * 255).round().astype(np.uint8)
    options = RunOptions(threads=1, device="cpu")
    result = segment(image, scribbles=numbers[painted + 1], params=params, options=options)

    network = build_network(3, params, torch.Generator().manual_seed(params.seed))
    inputs = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32) / 255).double()
    expected, clusters = plain_training(
        inputs, copy_weights(network.double()), 5.0, 0.1, 0.9, None, 5, painted, 0.5, 3
    )
    found = [(facts.similarity, facts.continuity, facts.scribble) for facts in result.history]
    # In float32 two right programs drift apart; the first steps say what was run.
    np.testing.assert_allclose(found, [parts for *parts, _ in expected], rtol=0.02)
    free = painted < 0
    same = result.labels[free] == np.r_[numbers[1:], np.zeros(9, int)][clusters][free]
    # Any channel may win an unpainted pixel; where a painted one does, it has its number.
    assert same[clusters[free] < 3].mean() > 0.95
    assert (result.labels[free] > 500).any()
    assert len(result.history) == 5, "min labels is the number of painted classes, not 9"


def test_the_published_settings():
    params = SegmentationParams.paper()
    assert (params.n_features, params.n_clusters, params.n_blocks) == (100, 100, 3)
    assert (params.learning_rate, params.momentum) == (0.1, 0.9)
    assert (params.continuity_weight, params.n_iterations, params.min_labels) == (5.0, 50, 3)
    assert (params.patch_size, params.min_region_size, params.n_superpixels) == (0, 0, 0)
    assert (params.intensity, params.design) == ("dtype", "published")
    assert (params.scribble_weight, params.only_painted) == (0.5, "no")
    assert params.preset == "paper"


def test_training_stops_after_the_iteration_that_reaches_the_fewest_labels(photo):
    params = SegmentationParams.paper(n_features=8, n_clusters=8, min_labels=8)
    network = build_network(3, params, torch.Generator().manual_seed(0)).double()
    steps = train(
        network,
        Sample(torch.from_numpy(photo.transpose(2, 0, 1).copy())[None]),
        params,
        torch.Generator(),
    )
    facts = next(steps)
    assert facts.n_clusters <= 8
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.stop_reason is StopReason.MIN_LABELS
    assert len(end.value.value.history) == 1
