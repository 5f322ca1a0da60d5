"""Pixel classification as in ilastik: its filters at its scales, and a random forest.

The filters are those of the package ilastik-napari. They call fastfilters, of which there is no
wheel; where it is not there, SciPy computes the same, but for the speed of its compiled code.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, gaussian_gradient_magnitude, gaussian_laplace
from sklearn.ensemble import RandomForestClassifier

from benchmarks.baselines.scribbles import keep_painted

Labels = NDArray[np.integer]
Floats = NDArray[np.floating]

SCALES = (0.3, 0.7, 1.0, 1.6, 3.5, 5.0, 10.0)
REACH = 3.0
"""Sigmas after which fastfilters cuts its kernels off."""


def ilastik_forest(pixels: NDArray[np.generic], scribbles: Labels, threads: int = 1) -> Labels:
    """Classify pixels by all of ilastik's filters, of each channel, with 100 trees."""
    provide_fastfilters()
    from ilastik.napari import filters

    names = ("Gaussian", "LaplacianOfGaussian", "GaussianGradientMagnitude")
    names += ("DifferenceOfGaussians", "StructureTensorEigenvalues", "HessianOfGaussianEigenvalues")
    bank = filters.FilterSet(filters=[getattr(filters, n)(s) for n in names for s in SCALES])
    channels = np.moveaxis(pixels.reshape(*scribbles.shape, -1).astype(np.float32), -1, 0)
    features = np.concatenate([bank.transform(channel) for channel in channels], axis=-1)
    painted = scribbles > 0
    forest = RandomForestClassifier(100, n_jobs=threads, random_state=0)
    forest.fit(features[painted], scribbles[painted])
    labels = forest.predict(features.reshape(-1, features.shape[-1]))
    return keep_painted(labels.reshape(scribbles.shape), scribbles)


def provide_fastfilters() -> None:
    """Have SciPy do what fastfilters would, where it is not there."""
    if "fastfilters" in sys.modules or find_spec("fastfilters"):
        return
    module = ModuleType("fastfilters")
    vars(module).update(
        gaussianSmoothing=lambda x, sigma: gaussian_filter(x, sigma, truncate=REACH),
        laplacianOfGaussian=lambda x, scale: gaussian_laplace(x, scale, truncate=REACH),
        gaussianGradientMagnitude=lambda x, sigma: gaussian_gradient_magnitude(
            x, sigma, truncate=REACH
        ),
        structureTensorEigenvalues=structure_tensor_eigenvalues,
        hessianOfGaussianEigenvalues=hessian_eigenvalues,
    )
    sys.modules["fastfilters"] = module


def structure_tensor_eigenvalues(x: Floats, innerScale: float, outerScale: float) -> Floats:  # noqa: N803
    """Return the eigenvalues, the larger first, ``(y, x, 2)``."""
    dy, dx = (gaussian_filter(x, innerScale, order, truncate=REACH) for order in ((1, 0), (0, 1)))
    return _eigenvalues(*(gaussian_filter(p, outerScale) for p in (dy * dy, dy * dx, dx * dx)))


def hessian_eigenvalues(x: Floats, scale: float) -> Floats:
    """Return the eigenvalues, the larger first, ``(y, x, 2)``."""
    orders = ((2, 0), (1, 1), (0, 2))
    return _eigenvalues(*(gaussian_filter(x, scale, order, truncate=REACH) for order in orders))


def _eigenvalues(a: Floats, b: Floats, c: Floats) -> Floats:
    """Return those of the symmetric matrices ``[[a, b], [b, c]]``."""
    middle, apart = (a + c) / 2, np.hypot((a - c) / 2, b)
    return np.stack([middle + apart, middle - apart], axis=-1)
