"""The version of the package, and nothing else: every floor may ask for it."""

__version__ = "0.1.0"
