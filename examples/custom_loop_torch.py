"""NeuroPlastic in a training loop of one's own, on PyTorch: scikit-learn's digits.

python -m examples.custom_loop_torch
"""

import argparse
import os

os.environ["KERAS_BACKEND"] = "torch"  # before the import of keras

import keras
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_neuroplastic import NeuroPlastic

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
    images, labels = load_digits(return_X_y=True)
    images = (images / 8 - 1).astype("float32")
    return train_test_split(images, labels, test_size=0.25, random_state=0)


def train(epochs):
    """Trains and prints; returns the last test accuracy."""
    x, x_test, y, y_test = map(torch.from_numpy, load_data())
    model = make_model()
    optimizer = NeuroPlastic()
    loss_function = torch.nn.CrossEntropyLoss()
    dataset = torch.utils.data.TensorDataset(x, y)
    batches = torch.utils.data.DataLoader(dataset, BATCH_SIZE, shuffle=True)

    for epoch in range(1, epochs + 1):
        for images, labels in batches:
            loss = loss_function(model(images, training=True), labels)
            model.zero_grad()
            loss.backward()
            gradients = [v.value.grad for v in model.trainable_variables]
            with torch.no_grad():
                optimizer.apply(gradients, model.trainable_variables)
        with torch.no_grad():
            logits = model(x_test, training=False)
        accuracy = float((logits.argmax(-1) == y_test).float().mean())
        print(f"epoch {epoch}: loss {loss.item():.4f}, test accuracy {accuracy:.4f}")
    return accuracy


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument("--seed", type=int, default=41, help="default: 41")
    parser.add_argument("--smoke", action="store_true", help="two epochs only")
    args = parser.parse_args(argv)
    keras.utils.set_random_seed(args.seed)
    return train(2 if args.smoke else args.epochs)


if __name__ == "__main__":
    main()
