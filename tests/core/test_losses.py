"""The losses on response maps small enough to be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from napari_diffseg.core.published.losses import (
    IGNORED,
    continuity_loss,
    scribble_loss,
    similarity_loss,
)
from napari_diffseg.core.published.superpixel_vote import majority_vote


def test_similarity_of_a_flat_response_is_the_logarithm_of_the_clusters():
    flat = torch.zeros(1, 4, 2, 2)
    assert similarity_loss(flat, torch.zeros(1, 2, 2, dtype=torch.long)).item() == pytest.approx(
        math.log(4)
    )


def test_similarity_leaves_masked_pixels_out():
    response = torch.zeros(1, 2, 1, 2)
    response[0, 0, 0, 1] = 100.0
    clusters = torch.tensor([[[0, 1]]])
    valid = torch.tensor([[[True, False]]])
    assert similarity_loss(response, clusters).item() > 40
    assert similarity_loss(response, clusters, valid).item() == pytest.approx(math.log(2))


def test_scribble_loss_is_the_mean_over_the_painted_pixels():
    response = torch.zeros(1, 2, 1, 3)
    response[0, 0, 0, 2] = 100.0
    one = torch.tensor([[[1, IGNORED, IGNORED]]])
    assert scribble_loss(response, one).item() == pytest.approx(math.log(2))
    both = torch.tensor([[[1, IGNORED, 1]]])
    assert scribble_loss(response, both).item() == pytest.approx((math.log(2) + 100) / 2)
    assert scribble_loss(response, torch.tensor([[[0, 0, 0]]])).item() == pytest.approx(
        math.log(2) * 2 / 3
    )


def test_scribble_loss_without_painted_pixels_is_0_and_teaches_nothing():
    response = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    response.requires_grad_(True)
    loss = scribble_loss(response, torch.full((1, 2, 2), IGNORED))
    assert loss.item() == 0
    (slope,) = torch.autograd.grad(loss, response)
    assert torch.equal(slope, torch.zeros_like(slope))


def test_only_painted_pixels_feel_the_scribble_loss():
    response = torch.zeros(1, 2, 1, 2, requires_grad=True)
    (slope,) = torch.autograd.grad(
        scribble_loss(response, torch.tensor([[[0, IGNORED]]])), response
    )
    assert slope[0, :, 0, 0].tolist() == [-0.5, 0.5]
    assert slope[0, :, 0, 1].tolist() == [0, 0]


def test_similarity_with_every_pixel_painted_is_no_nan_in_the_sum():
    """Nothing is left for the similarity loss: it must not spoil the whole loss."""
    none = torch.zeros(1, 1, 2, dtype=torch.bool)
    loss = similarity_loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]]), none)
    assert loss.item() == 0


def test_continuity_is_the_mean_step_down_plus_the_mean_step_right():
    response = torch.tensor([[[[0.0, 1.0], [0.0, 5.0]]]])
    # right: |1|, |5| → 3; down: |0|, |4| → 2
    assert continuity_loss(response).item() == pytest.approx(5.0)
    # A second, constant channel halves the means.
    both = torch.cat([response, torch.ones_like(response)], dim=1)
    assert continuity_loss(both).item() == pytest.approx(2.5)


def test_continuity_counts_only_pairs_of_valid_pixels():
    response = torch.tensor([[[[0.0, 1.0], [0.0, 5.0]]]])
    valid = torch.tensor([[[True, True], [True, False]]])
    assert continuity_loss(response, valid).item() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(1, 3, 1, 5), (1, 3, 5, 1)])
def test_continuity_of_a_line_has_one_axis(shape):
    ramp = torch.arange(5.0).expand(1, 3, 5).reshape(shape)
    assert continuity_loss(ramp).item() == pytest.approx(1.0)


def test_majority_vote_takes_the_smallest_cluster_on_a_tie():
    clusters = torch.tensor([[[2, 2, 1], [5, 3, 3]]])
    superpixels = torch.tensor([[[0, 0, 0], [1, 1, 2]]])
    assert majority_vote(clusters, superpixels, 3, 6).tolist() == [[[2, 2, 2], [3, 3, 3]]]


def test_the_vote_stays_within_the_range_of_a_batch_that_lacks_superpixels():
    clusters = torch.tensor([[[0, 1, 1]]])
    superpixels = torch.tensor([[[7, 9, 9]]])
    assert majority_vote(clusters, superpixels, 10, 2).tolist() == [[[0, 1, 1]]]


def test_pixels_without_a_vote_keep_their_cluster():
    clusters = torch.tensor([[[4, 4, 1, 1]]])
    superpixels = torch.tensor([[[-1, -1, 0, 0]]])
    assert majority_vote(clusters, superpixels, 1, 5).tolist() == [[[4, 4, 1, 1]]]
