"""TIFF files: what they say of themselves, their planes, colours and frames."""
