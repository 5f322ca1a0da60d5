"""Where the shipped feature network comes from: simulated images, and its training on them.

Not part of the wheel. `python -m pretraining.train OUT.safetensors`, or `make pretrain`.
"""
