"""The napari door: dock widgets, and the only place that knows napari, Qt and magicgui.

``session``            the state of a run, without Qt
``worker``             a run in its own thread
``choice``, ``order``  what is chosen, and what a run is told
``overview``           what the dock says before a run
``axes_reading``       what is known of a layer, and what a person says → how its axes are read
``voxel_size``         how far apart neighbours are
``layer_facts``        Image layers → what is known of their axes
``axes_form``, ``axes_section``  the line on the axes, and what was said of each layer
``sources``            Image layers, so read → the plane or volume that a run would segment
``image_source``       that plane or volume: arrays, axes, place
``lazy_arrays``        parts of arrays, and several as one, without reading them
``channel_sources``, ``channels_section``  which channels count, and how
``level``, ``level_chooser``  the levels of multiscale layers
``first_look``         labels of a coarse level, before a fine one is read
``region``, ``region_reading``, ``region_chooser``  where an image is segmented
``grid``               pixels of a run in the world
``memory_line``        how much memory a run needs
``scribbles``          Labels layers → strokes on that plane or in that volume
``other_planes``       which other planes of a stack a run learns from
``survey``             which planes are painted, as the window knows it
``placement``          where a new layer stands in the world
``layers``             arrays → layers: with ``apply_layer`` and ``objects_layer``, what adds or
                       edits layers
``colors``             the colours of labels and strokes
``class_names``        names of classes, in the layers' features
``results``            which layer is written to, and what it has shown
``history``            results to step back through
``live``, ``follower`` when strokes are looked at, and what they ask for
``background``         a question at a time, in a thread of its own
``relabel``            fewer or more labels of a finished result
``uncertainty``        where a finished result is unsure
``form``               forms made from `napari_diffseg.params`
``controls``           the image chooser, the slider, and what controls are made of
``learn_from``         the chooser of planes to learn from
``scribbles_form``     the chooser of scribbles and the list of classes
``scribbles_section``  joins that form to the layer that is painted on
``frames``             Image layers → all their frames: planes, or volumes
``apply_job``          a model applied frame after frame, without Qt
``apply_fit``          whether a model fits what is chosen
``apply_input``        the pixels of a frame, read at once or in parts
``apply_output``       where the labels of all frames are kept: in memory or on disk
``apply_record``       areas and confidence of each frame
``apply_layer``        the Labels layer that is filled frame by frame
``apply_folder``       a model applied to a folder of images
``apply_form``         the controls of the sections *Apply* and *Model*
``apply_section``      joins form, run, layer and plot
``apply_plot``         the plot of a run over frames
``apply_words``        what these sections say
``area_plot``          areas and confidence over the frames
``objects_form``, ``objects_section``  which classes become objects, and how
``label_source``       Labels layers → classes, objects, and the image below them
``objects_layer``      the Labels layer of the objects
``measure_form``, ``measure_section``  how large a pixel is, and what is measured
``measure_table``      a table whose rows lead to their objects
``model_facts``        what the dock knows of a model: names, colours, pixel size
``model_shelf``        the models that can be applied
``model_section``      models of results, from files, to files
``model_reader``       a model file that is dropped on napari
``face``               what the dock widget looks like
``words``, ``notices`` what a run says to a person
``segment_dock``       the dock widget, composed of the above
``demo``               the dock widget, driven by itself
"""
