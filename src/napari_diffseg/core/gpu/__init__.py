"""What is done to pixels and regions, in torch, for images that lie on a GPU."""
