"""The napari door: dock widgets, and the only place that knows napari, Qt and magicgui.

``session``       the state of a run, without Qt
``worker``        a run in its own thread
``planes``        layers → arrays and axes: what a run would segment
``layers``        arrays → layers: the only file that adds or edits layers
``form``          forms made from `napari_diffseg.params`
``controls``      the image chooser and the slider
``words``         what a run says to a person
``segment_dock``  the dock widget, composed of the above
``demo``          the dock widget, driven by itself
"""
