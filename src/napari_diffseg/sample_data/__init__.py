"""Images to try: real ones that ship with scikit-image, and simulated ones with ground truth.

`layers` has what napari offers; nothing is downloaded but its `cells3d`, when that is opened.
The simulated ones are made stage by stage, as in a microscope: `simulated` (nuclei in a plane),
`simulated_volume`, `time_lapse` (with `moving_cells`), `multichannel`; they share `microscope`,
`outlines` and `strokes`.
"""
