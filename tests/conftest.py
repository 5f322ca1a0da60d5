"""What holds for all tests."""

from __future__ import annotations

import signal

# A script's `make test &` has Ctrl-C ignored, which programs that are started would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
