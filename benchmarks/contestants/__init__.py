"""Timed programs, each with `train(workload, x, epochs, device)`, which may return the seconds of its steps."""
