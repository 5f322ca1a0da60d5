"""Floor 3: image files in, label files out. Knows files and arrays, never torch or a window."""
