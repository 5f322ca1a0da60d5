"""The section *Apply*: a model on frames and folders."""
