"""The section *Export*: a result to a folder, for other programs."""
