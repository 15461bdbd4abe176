"""Fashion-MNIST with wrong labels: how much does an optimizer suffer from noise?

    python -m examples.noisy_labels --noise 0 0.4 --fraction 0.1 1

Exactly the share --noise of the training labels is replaced by another class, drawn
at random; accuracy is measured on clean labels. Subset and noise depend on the seed
alone, and the labels trained on are kept in a file beside the results.
"""

import keras

from examples import harness
from examples.harness import data
from examples.low_data import FRACTION
from examples.mnist import mlp


def train(run):
    (x, y), test = run.load("fashion_mnist")
    chosen = data.subset(len(x), run.fraction, run.seed)
    x, y = x[chosen], data.flip_labels(y[chosen], run.noise, 10, run.seed)
    run.keep("subset", chosen)
    run.keep("labels", y)
    batches = run.batches(x, y)
    model = mlp()
    model.compile(
        optimizer=run.optimizer(batches),  # NeuroPlastic.paper(len(batches)), or other
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        validation_data=test,
        validation_batch_size=1000,
        callbacks=run.callbacks(batches),
        verbose=0,
    )


NOISE = {
    "type": harness.number(float, 0, 1),
    "default": [0.0, 0.2, 0.4],
    "metavar": "SHARE",
    "help": "of the training labels to make wrong",
}


def main(argv=None):
    harness.main(
        "noisy_labels",
        train,
        __doc__,
        epochs=10,
        batch_size=64,
        seconds_per_epoch=3,
        argv=argv,
        noise=NOISE,
        fraction={**FRACTION, "default": [0.1, 1.0]},
    )


if __name__ == "__main__":
    main()
