"""The napari door: dock widgets, and the only place that knows napari, Qt and magicgui.

``session``            the state of a run, without Qt
``worker``             a run in its own thread
``order``              what a run is told
``planes``             Image layers → arrays and axes: what a run would segment
``scribbles``          Labels layers → strokes on that plane
``placement``          where a new layer stands in the world
``layers``             arrays → layers: the only file that adds or edits layers
``colors``             the colours of labels and strokes
``class_names``        names of classes, in the layers' features
``results``            which layer is written to, and what it has shown
``history``            results to step back through
``live``, ``follower`` when strokes are looked at, and what they ask for
``background``         a question at a time, in a thread of its own
``relabel``            fewer or more labels of a finished result
``uncertainty``        where a finished result is unsure
``form``               forms made from `napari_diffseg.params`
``controls``           the image chooser and the slider
``scribbles_form``     the chooser of scribbles and the list of classes
``scribbles_section``  joins that form to the layer that is painted on
``face``               what the dock widget looks like
``words``, ``notices`` what a run says to a person
``segment_dock``       the dock widget, composed of the above
``demo``               the dock widget, driven by itself
"""
