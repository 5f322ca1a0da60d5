"""An image as it is given: axes, channels, intensity, fill, size of a pixel, strokes (numpy)."""
