"""The shapes of the variables that the optimizers are timed on."""

from itertools import pairwise


def mlp():
    """The paper's MLP for MNIST: 270 thousand parameters."""
    widths = [784, 256, 256, 10]
    return [shape for m, n in pairwise(widths) for shape in ((m, n), (n,))]


def resnet18():
    """ResNet-18 with ten classes: 11.2 million parameters in 62 variables."""
    shapes = [(3, 3, 3, 64), (64,), (64,)]
    before = 64
    for width in (64, 128, 256, 512):
        for block in range(2):
            shapes += [(3, 3, before, width), (width,), (width,)]
            shapes += [(3, 3, width, width), (width,), (width,)]
            if block == 0 and before != width:
                shapes += [(1, 1, before, width), (width,), (width,)]
            before = width
    return [*shapes, (512, 10), (10,)]


def many_small():
    return [(1000,)] * 1000


def one_big():
    return [(64_000_000,)]


def transformer():
    """Eight layers of width 768 below an embedding: 85 million parameters."""
    width = 768
    norm = [(width,), (width,)]
    attention = [(width, width), (width,)] * 4
    feedforward = [(width, 4 * width), (4 * width,), (4 * width, width), (width,)]
    layer = norm + attention + norm + feedforward
    return [(37_000, width), (512, width), *layer * 8, *norm]


PARAMETER_SETS = {
    "mlp": mlp(),
    "resnet18": resnet18(),
    "many-small": many_small(),
    "one-big": one_big(),
    "transformer": transformer(),
}
