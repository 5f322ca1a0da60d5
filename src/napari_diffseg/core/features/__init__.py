"""Features learned from simulated images, and regions of pixels made of them."""
