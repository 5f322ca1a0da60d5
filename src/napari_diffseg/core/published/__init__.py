"""The published method whole: a network from random weights, its losses, its training."""
