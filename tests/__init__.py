"""Tests of aevb."""

import os

# Before PyTorch is imported: as many processes as processors run the tests, and each computes on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")
