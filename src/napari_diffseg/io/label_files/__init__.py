"""Labels as files: pictures, TIFF, stores that several runs write to."""
