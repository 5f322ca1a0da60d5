"""Floor 3: scores of a segmentation against ground truth. Numpy only, no torch."""
