"""What the custom loops share, so that each shows its loop alone: digits, network."""

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from examples import arguments

BATCH_SIZE = 64


def make_model():
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(10),
        ]
    )


def load_data():
    """Training images, test images, training labels, test labels."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 8 - 1).astype("float32")
    return train_test_split(images, labels, test_size=0.25, random_state=0)


def run(train, description, argv):
    """Reads the command line and calls train(epochs); what that returns."""
    parser = arguments.Parser(description=description.split("\n")[0])
    parser.add_argument(
        "--epochs", type=arguments.count, default=20, help="default: 20"
    )
    parser.add_argument("--seed", type=arguments.seed, default=41, help="default: 41")
    parser.add_argument("--smoke", action="store_true", help="two epochs only")
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(args.seed)
    return train(2 if args.smoke else args.epochs)
