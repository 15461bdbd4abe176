"""CIFAR-10 with a ResNet-18 and the configuration locked on MNIST: no retuning.

    python -m examples.cifar10_resnet18 --optimizer neuroplastic gradient-only

Needs keras-hub, or keras-cv with --backbone keras-cv, and for more than --smoke a GPU.
The trained backbones are kept beside the results: examples.transfer_resnet18 takes one
with --weights. --classes 0-4 trains on five classes, to move to the other five there.
"""

import keras

from examples import harness, resnet
from examples.harness import data


def train(run):
    train_set, test = run.load("cifar10")
    classes = data.CLASSES[run.classes]
    (x, y), test = (data.select(part, classes) for part in (train_set, test))
    batches = run.batches(x, y)
    backbone = resnet.make_backbone(run.backbone, run.stem)
    model = resnet.classifier(backbone, classes=len(classes))
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
        validation_batch_size=250,
        callbacks=run.callbacks(batches),
        verbose=0,
    )
    if not run.diverged:
        run.keep_weights(f"backbone-{run.classes}", backbone)


BACKBONE = {
    "choices": resnet.BACKBONES,
    "default": ["keras-hub"],
    "help": "the package that the ResNet-18 is from",
}
STEM = {
    "choices": ["cifar", "imagenet"],
    "default": ["cifar"],
    "help": "the first layers, for 32×32 pixels or for large images",
}


def main(argv=None):
    harness.main(
        "cifar10_resnet18",
        train,
        __doc__,
        epochs=30,
        batch_size=128,
        seconds_per_epoch=2700,
        smoke={"limit": 64},
        argv=argv,
        backbone=BACKBONE,
        stem=STEM,
        classes={
            "choices": data.CLASSES,
            "default": ["0-9"],
            "help": "which of CIFAR-10's to train on",
        },
    )


if __name__ == "__main__":
    main()
