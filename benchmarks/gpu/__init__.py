"""What is measured first on a GPU, in a few minutes: `python -m benchmarks.gpu`."""
