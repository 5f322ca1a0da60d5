"""Images to try: real ones that ship with scikit-image, and simulated ones with ground truth.

Nothing here is ever downloaded.
"""
