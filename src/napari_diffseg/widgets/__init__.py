"""The napari door: dock widgets, and the only place that knows napari, Qt and magicgui.

``session``            the state of a run, without Qt
``worker``             a run in its own thread
``choice``, ``order``  what is chosen, and what a run is told
``planes``             Image layers → arrays and axes: what a run would segment
``scribbles``          Labels layers → strokes on that plane
``other_planes``       which other planes of a stack a run learns from
``survey``             which planes are painted, as the window knows it
``placement``          where a new layer stands in the world
``layers``             arrays → layers: with ``apply_layer``, what adds or edits layers
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
``learn_from``         the chooser of planes to learn from
``scribbles_form``     the chooser of scribbles and the list of classes
``scribbles_section``  joins that form to the layer that is painted on
``frames``             Image layers → all their frames, along time and depth
``apply_job``          a model applied frame after frame, without Qt
``apply_output``       where the labels of all frames are kept: in memory or on disk
``apply_record``       areas and confidence of each frame
``apply_layer``        the Labels layer that is filled frame by frame
``apply_folder``       a model applied to a folder of images
``apply_form``         the controls of the sections *Apply* and *Model*
``apply_section``      joins form, run, layer and plot
``apply_words``        what these sections say
``area_plot``          areas and confidence over the frames
``model_facts``        what the dock knows of a model: names, colours, pixel size
``model_shelf``        the models that can be applied
``model_section``      models of results, from files, to files
``model_reader``       a model file that is dropped on napari
``face``               what the dock widget looks like
``words``, ``notices`` what a run says to a person
``segment_dock``       the dock widget, composed of the above
``demo``               the dock widget, driven by itself
"""
