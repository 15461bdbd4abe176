"""What counts in a study: accuracy, or the loss where that says more."""

ACCURACY = "val_accuracy"
LOSS = "val_loss"
# Heading in tables and figures, what a value is multiplied with there, and digits.
HEADINGS = {ACCURACY: ("accuracy (%)", 100, 2), LOSS: ("loss", 1, 3)}


def better(metric):
    """The sign of a difference that is an improvement."""
    return -1 if metric == LOSS else 1


def metric_of(records):
    """The metric that counts in them; those of older files do not say."""
    return records[0].get("metric", ACCURACY)
