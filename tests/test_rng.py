"""Streams of random numbers: a function of their names, and of nothing else."""

import itertools

import torch

from aevb.rng import RNGStream, seeded


def test_no_two_streams_are_the_same() -> None:
    names = [
        (seed, purpose, *further)
        for seed, purpose in itertools.product((0, 1, 2**40), RNGStream)
        for further in ((), (0,), (1,))
    ]
    drawn = set()
    for name in names:
        with seeded(*name):
            drawn.add(float(torch.randn(64).double().sum()))
    assert len(drawn) == len(names)


def test_a_stream_repeats_and_the_generator_is_restored() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    draws = []
    for _ in range(2):
        with seeded(7, RNGStream.EPOCH, 5):
            draws.append(torch.rand(4))
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(*draws)
