"""From features to clusters, or to painted classes, of the regions of an image."""
