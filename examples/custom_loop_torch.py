"""NeuroPlastic in a training loop of one's own, on PyTorch: scikit-learn's digits.

python -m examples.custom_loop_torch
"""

import os

os.environ["KERAS_BACKEND"] = "torch"  # before the import of keras

import torch

from examples.custom_loop import BATCH_SIZE, load_data, make_model, run
from keras_neuroplastic import NeuroPlastic


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
    return run(train, __doc__, argv)


if __name__ == "__main__":
    main()
