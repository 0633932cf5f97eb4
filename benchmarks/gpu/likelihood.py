"""Time log p(x) with K = 5000 on a device: python -m benchmarks.gpu.likelihood DEVICE [PEERS].

Measures our routine and the matrix products alone. With PEERS, the path of a Python that has pythae, it measures the
routine of pythae with the same weights instead. Prints images per second and the mean of log p(x) over the same images
as JSON.
"""

import json
import sys

from benchmarks.likelihood import floor, model_and_images, ours, theirs


def main(device: str, peers: str = "") -> None:
    """Measure a routine and print it."""
    model, images = model_and_images(device)
    rate, mean = theirs(peers, model, images) if peers else ours(model, images)
    print(json.dumps({"rate": rate, "mean": mean} | ({} if peers else {"floor": floor(model)})))


if __name__ == "__main__":
    main(*sys.argv[1:])
