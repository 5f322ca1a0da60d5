"""Where an image is segmented, and where layers stand in the world."""
