"""The section *Model*: models of results, from files, to files."""
