"""Images as arrays: axes, intensity, label numbers and superpixels (numpy, scikit-image)."""
