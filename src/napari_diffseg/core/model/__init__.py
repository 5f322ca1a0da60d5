"""What a run leaves for other images: the model, its file, its card, its application."""
