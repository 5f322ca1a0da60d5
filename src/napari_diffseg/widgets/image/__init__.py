"""Image layers: axes, channels, levels, and the plane or volume that a run reads."""
