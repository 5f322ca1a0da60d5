"""Work in threads of its own, and the state of a run, without windows."""
