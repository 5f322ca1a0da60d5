"""One model on many frames: the plan, its journal, where the work is done, and the run."""
