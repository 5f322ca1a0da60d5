"""The section *Objects*: classes become things with numbers."""
