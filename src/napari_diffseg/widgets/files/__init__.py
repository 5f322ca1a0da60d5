"""Layers from files and to files, with all that both know of their pixels."""
