"""Fine-tuning a trained ResNet-18 on CIFAR-10: first its new head, then all of it.

    python -m examples.transfer_resnet18 --weights imagenet
    python -m examples.cifar10_resnet18 --classes 0-4
    python -m examples.transfer_resnet18 --weights results/.../backbone-0-4-*.weights.h5

"imagenet" downloads the preset resnet_18_imagenet of keras-hub (a folder with a preset
will do, too), and works on images enlarged to 128×128. The weights file of a backbone
that examples.cifar10_resnet18 trained on the classes 0-4 is moved to the classes 5-9:
a transfer without any download; give that script's --backbone and --stem here too.
"""

import keras

from examples import backbone_file, harness, resnet
from examples.cifar10_resnet18 import BACKBONE, STEM
from examples.harness import data


def load_backbone(run):
    """The backbone with its weights, and the classes of CIFAR-10 to move it to."""
    if run.weights.endswith(".h5"):
        backbone = resnet.make_backbone(run.backbone, run.stem)
        return backbone_file.load(backbone, run), "5-9"
    keras_hub = resnet.load("keras_hub")
    preset = {"imagenet": "resnet_18_imagenet"}.get(run.weights, run.weights)
    backbone = keras_hub.models.Backbone.from_preset(preset)
    enlarge = keras.layers.Resizing(128, 128)
    return keras.Sequential([keras.Input((32, 32, 3)), enlarge, backbone]), "0-9"


def compile_and_fit(run, model, batches, test, first_epoch, last_epoch):
    model.compile(
        optimizer=run.optimizer(batches),  # NeuroPlastic.paper(len(batches)), or other
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        batches,
        epochs=last_epoch,
        initial_epoch=max(run.epochs_done, first_epoch),
        validation_data=test,
        validation_batch_size=250,
        callbacks=run.callbacks(batches, first_epoch),
        verbose=0,
    )


def train(run):
    train_set, test = run.load("cifar10")
    backbone, name = load_backbone(run)
    classes = data.CLASSES[name]
    (x, y), test = (data.select(part, classes) for part in (train_set, test))
    batches = run.batches(x, y)
    model = resnet.classifier(backbone, classes=len(classes))

    backbone.trainable = False  # its batch normalisation keeps its statistics, too
    compile_and_fit(run, model, batches, test, 0, run.head_epochs)
    if run.diverged:
        return
    # The first optimizer knows the head only, and would go on training it alone:
    # unfreezing takes compile() with a fresh one.
    backbone.trainable = True
    compile_and_fit(run, model, batches, test, run.head_epochs, run.epochs)


def check(args):
    longest = max(args.head_epochs)
    if longest >= args.epochs:
        return (
            f"argument --head-epochs: {longest} leaves none of --epochs {args.epochs} "
            "to train the whole network"
        )
    return None


def main(argv=None):
    harness.main(
        "transfer_resnet18",
        train,
        __doc__,
        epochs=10,
        batch_size=128,
        seconds_per_epoch=2700,
        smoke={"limit": 64, "head_epochs": [1]},
        check=check,
        argv=argv,
        weights={
            "type": backbone_file.weights,
            "default": ["imagenet"],
            "metavar": "PATH",
            "help": "imagenet, the folder of a keras-hub preset, or a .weights.h5 file",
        },
        backbone=BACKBONE,
        stem=STEM,
        head_epochs={
            "type": harness.number(int, 1, 10**6),
            "default": [2],
            "metavar": "N",
            "help": "how many of the epochs train the new head alone",
        },
    )


if __name__ == "__main__":
    main()
