"""From classes to things: objects with numbers, followed over frames, cleaned and measured."""
