"""Large sums in two stages.

XLA on a CPU leaves the sum of a large array to a library, which has to find it in
memory. In two stages, of which the first is no plain sum, |g| or u² is summed as it is
made.
"""

import math

from keras_neuroplastic._sums.plain import size

# From so many elements on a sum has two stages, the first over at most so many rows.
LARGE = 2**15
ROWS = 16


def rows(x, axis):
    """How many rows of x to add up first; 1 for none."""
    count = size(x, axis)
    return math.gcd(count, ROWS) if axis is None and count >= LARGE else 1
