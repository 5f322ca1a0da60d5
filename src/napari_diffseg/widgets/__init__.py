"""The napari door, and the only place that knows napari, Qt and magicgui.

A room for each section of the dock; ``demo`` drives the dock widget by itself.
"""
