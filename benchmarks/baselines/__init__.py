"""Methods that ours is compared with, from well-kept libraries where there are any."""
