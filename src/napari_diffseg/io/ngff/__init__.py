"""OME-Zarr: metadata, images, labels, plates and pyramids."""
