"""Timings side by side with peers, as ratios from one run on a quiet machine. Nothing here is a test."""
