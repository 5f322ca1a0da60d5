"""Floor 2: the method itself, in torch. Knows arrays and parameters, never a window."""
