"""Tumours told apart by thousands of genes, after a few of each kind.

    python -m examples.gene_expression --tune --seeds $(seq 30) --optimizer sgd adam

khan: 83 small round blue-cell tumours of four kinds, 2308 genes. nci60: cell lines from
cancers of seven kinds, 6830 genes. Both are files of the Python package ISLP.

The seed decides which --samples of each class are trained on; all others are tested. A
class that has no more is left out: of nci60's 64 lines, at five samples, CNS (5),
prostate (2), one unknown and the four repeats of K562 and MCF7. Genes are standardised
by the samples that are trained on.

--tune gives each seed a learning rate of its own, from its training samples alone: so
none is chosen by what it is tested with. One sample of every class is held out and the
rest trained on, until each was held out once. The mean accuracy decides, of equal ones
the mean loss.
"""

import functools

import keras
import numpy as np
from keras import layers

from examples import harness
from examples.harness import folds


def linear(genes, classes):
    """Softmax regression from zero: of another start, much would remain."""
    output = layers.Dense(classes, kernel_initializer="zeros")
    return keras.Sequential([keras.Input((genes,)), output])


def mlp(genes, classes):
    hidden = layers.Dense(64, activation="relu")
    return keras.Sequential([keras.Input((genes,)), hidden, layers.Dense(classes)])


MODELS = {"linear": linear, "mlp": mlp}
SETS = ["khan", "nci60"]


@functools.lru_cache(maxsize=1)
def load(name):
    """Expression of shape (samples, genes), and the names of the samples' classes."""
    from ISLP import load_data

    if name == "nci60":
        tables = load_data("NCI60")
        return tables["data"], tables["labels"]["label"].to_numpy(dtype=str)
    tables = load_data("Khan")
    # The parts in which it was published; here they are one.
    return tuple(
        np.concatenate([tables[f"{kind}train"], tables[f"{kind}test"]]) for kind in "xy"
    )


def standardise(x, x_eval):
    """Both by the mean and deviation of the first, gene by gene."""
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation == 0] = 1
    return [((part - mean) / deviation).astype("float32") for part in (x, x_eval)]


def train(run):
    x, names = load(run.data)
    frequent, y = folds.frequent(names, run.samples + 1)
    x = x[frequent]
    pairs = folds.splits(y, run.samples, run.seed, run.evaluate_on)
    model = MODELS[run.model](x.shape[1], len(np.unique(y)))
    model.compile(
        optimizer=run.optimizer(run.batches(*pairs[0])),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    def fit(chosen, others):
        x_train, x_eval = standardise(x[chosen], x[others])
        batches = run.batches(x_train, y[chosen])
        model.fit(
            batches,
            epochs=run.epochs,
            initial_epoch=run.epochs_done,
            validation_data=(x_eval, y[others]),
            validation_batch_size=len(others),
            callbacks=run.callbacks(batches),
            verbose=0,
        )

    folds.train_each(run, model, pairs, fit)


def main(argv=None):
    harness.main(
        "gene_expression",
        train,
        __doc__,
        epochs=30,
        batch_size=4,
        seconds_per_epoch=0.03,
        smoke={"limit": None},
        check=lambda args: args.limit and "argument --limit: there are few samples",
        argv=argv,
        tune_each_seed=True,
        data={"choices": SETS, "default": SETS, "help": "the samples"},
        samples={
            "type": harness.number(int, 2, 8),
            "default": [5],
            "metavar": "N",
            "help": "of each class to train on",
        },
        model={"choices": MODELS, "default": ["linear"], "help": "the network"},
    )


if __name__ == "__main__":
    main()
