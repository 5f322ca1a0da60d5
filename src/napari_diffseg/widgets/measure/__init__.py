"""The section *Measure*: a table whose rows lead to their objects."""
