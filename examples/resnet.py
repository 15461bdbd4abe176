"""ResNet-18 for small images, its backbone from keras-hub or from keras-cv."""

import importlib
import sys

import keras
from keras import layers

STACKS = ([64, 128, 256, 512], [2, 2, 2, 2], [1, 2, 2, 2])  # filters, blocks, strides


def load(name):
    """A package that not everyone has; exits with a line where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        extra = name.replace("_", "-")
        sys.exit(f"Cannot load {name} ({error}): pip install -e '.[{extra}]'")


def keras_hub_backbone():
    """ResNet-18 as published in 2015, activations after the convolutions."""
    keras_hub = load("keras_hub")
    filters, blocks, strides = STACKS
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=filters,
        stackwise_num_blocks=blocks,
        stackwise_num_strides=strides,
        block_type="basic_block",
        image_shape=(None, None, 3),
    )


def keras_cv_backbone():
    """ResNet-18 v2, activations before the convolutions; keras-cv is retired."""
    keras_cv = load("keras_cv")
    filters, blocks, strides = STACKS
    return keras_cv.models.ResNetV2Backbone(
        stackwise_filters=filters,
        stackwise_blocks=blocks,
        stackwise_strides=strides,
        block_type="basic_block",
        include_rescaling=False,
        input_shape=(None, None, 3),
    )


BACKBONES = {"keras-hub": keras_hub_backbone, "keras-cv": keras_cv_backbone}


def cifar_stem(backbone):
    """The backbone with a 3×3 convolution in place of its 7×7 one and the pooling.

    The usual form for 32×32 images, of which the ImageNet stem leaves 8×8.
    """
    stem = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Conv2D(64, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
        ]
    )
    body = keras.Model(backbone.get_layer("pool1_pool").output, backbone.output)
    return keras.Sequential([stem, body])


def make_backbone(name, stem):
    backbone = BACKBONES[name]()
    return cifar_stem(backbone) if stem == "cifar" else backbone


def augmentation():
    """Random crop after 4 pixels of padding, image by image, and horizontal flip."""
    # A shift by up to 4 whole pixels; layers.RandomCrop crops a batch at one place.
    shift = layers.RandomTranslation(
        4 / 32, 4 / 32, fill_mode="constant", interpolation="nearest"
    )
    # It compiles on JAX, where one layer that does not makes the whole model eager.
    shift.supports_jit = keras.backend.backend() == "jax"
    return [shift, layers.RandomFlip("horizontal")]


def normalization():
    """Mean 0 and variance 1 for each channel of CIFAR-10, from pixels in [0, 255]."""
    mean, deviation = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
    return layers.Normalization(mean=mean, variance=[d * d for d in deviation])


def classifier(backbone, classes=10):
    """From 32×32 pixels to logits; augmentation acts while training only."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            *augmentation(),
            normalization(),
            backbone,
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),
        ]
    )
