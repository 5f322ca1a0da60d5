"""What is known of each frame that a model was applied to: areas and confidence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class ApplyRecord:
    """One row for each frame; written by a run, read by the window while it goes on.

    Parameters
    ----------
    n_frames : int
        How many frames there are.
    labels : tuple of int
        The labels that can come out, ascending.

    Attributes
    ----------
    done : ndarray of bool, (n,)
        Frames that have their labels.
    shares : ndarray of float32, (n, k)
        Part of the frame that each label covers, 0 … 1; NaN where not known.
    confidence : ndarray of float32, (n,)
        Mean confidence, 0 … 1; NaN where not known.
    failed : dict of int to str
        Frames that have no labels, and why.
    """

    def __init__(self, n_frames: int, labels: tuple[int, ...]) -> None:
        self.labels = labels
        self.done = np.zeros(n_frames, bool)
        self.shares = np.full((n_frames, len(labels)), np.nan, np.float32)
        self.confidence = np.full(n_frames, np.nan, np.float32)
        self.failed: dict[int, str] = {}

    @property
    def n_done(self) -> int:
        """How many frames have their labels."""
        return int(np.count_nonzero(self.done))

    def add(self, number: int, areas: Mapping[int, int], confidence: float) -> None:
        """Take down a frame that is done.

        Parameters
        ----------
        number : int
            The frame.
        areas : mapping of int to int
            Pixels of each label; those of 0 count to the whole.
        confidence : float
            Mean confidence, 0 … 1.
        """
        whole = max(sum(areas.values()), 1)
        self.shares[number] = [areas.get(label, 0) / whole for label in self.labels]
        self.confidence[number] = confidence
        self.keep(number)

    def keep(self, number: int) -> None:
        """Take down a frame that has its labels already, of which nothing more is known."""
        self.failed.pop(number, None)
        # Last, because the window looks here first.
        self.done[number] = True

    def fail(self, number: int, reason: str) -> None:
        """Take down a frame that cannot be labelled."""
        self.failed[number] = reason
