"""Labels layers that are painted on: strokes, classes, the planes they stand on."""
