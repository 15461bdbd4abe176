"""Reinforcement learning: a policy that balances a pole on a cart, by REINFORCE.

python -m examples.recipes.policy --tune --optimizer adam plastic-adam

Before each epoch 32 carts run for 200 steps under the policy as it is, a cart whose
pole has fallen from the start again. The loss is the cross-entropy of the pushes that
were made, weighted by how much better than the mean it went on from there. What
counts is for how much of 200 steps new carts stay up; it is recorded as the accuracy.
"""

import keras
import numpy as np
from keras import layers

from examples.recipes import recipe

CARTS, STEPS, DISCOUNT = 32, 200, 0.98


def start(random, carts):
    return random.uniform(-0.05, 0.05, size=(4, carts))


def push(state, right):
    """Position, speed, angle and its speed after 0.02 s (Barto et al., 1983)."""
    _, v, angle, turn = state
    sin, cos, force = np.sin(angle), np.cos(angle), np.where(right, 10, -10)
    pull = (force + 0.05 * turn**2 * sin) / 1.1
    spin = (9.8 * sin - cos * pull) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    speed = pull - 0.05 * spin * cos / 1.1
    return state + 0.02 * np.array([v, speed, turn, spin])


def fallen(state):
    return (abs(state[0]) > 2.4) | (abs(state[2]) > 0.21)


def chance(weights, state):
    """Of a push to the right; the network, without the cost of a call at each step."""
    (w, b), (w_out, b_out) = weights[:2], weights[2:]
    logits = np.tanh(state.T @ w + b) @ w_out + b_out
    return 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))


class Episodes(keras.utils.PyDataset):
    """What happened under the policy: states, pushes and their weights."""

    def __init__(self, model, batch_size, seed):
        super().__init__()
        self.model, self.batch_size, self.seed = model, batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        random = np.random.default_rng([self.seed, epoch])
        weights, state = self.model.get_weights(), start(random, CARTS)
        states, pushes, falls = [], [], []
        for _ in range(STEPS):
            right = random.random(CARTS) < chance(weights, state)
            states, pushes = [*states, state.T], [*pushes, right]
            falls.append(fallen(state := push(state, right)))
            state = np.where(falls[-1], start(random, CARTS), state)
        returns = [0]
        for fall in falls[::-1]:
            returns.insert(0, ~fall * (1 + DISCOUNT * returns[0]))
        order = random.permutation(CARTS * STEPS)
        returns = np.concatenate(returns[:-1])[order]
        self.weights = (returns - returns.mean()) / (returns.std() + 1e-6)
        self.x = np.concatenate(states)[order].astype("float32")
        self.y = np.concatenate(pushes)[order].astype("int32")

    def __len__(self):
        return CARTS * STEPS // self.batch_size

    def __getitem__(self, index):
        part = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.x[part], self.y[part], self.weights[part].astype("float32")


class Balance(keras.callbacks.Callback):
    """Adds to the logs for how much of the time new carts stay up."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def on_epoch_end(self, epoch, logs=None):
        weights = self.model.get_weights()
        state = start(np.random.default_rng(self.seed), 200)
        up, steps = np.ones(200, dtype=bool), 0
        for _ in range(STEPS):
            state = push(state, chance(weights, state) > 0.5)
            up &= ~fallen(state)
            steps += up.mean()
        logs |= {"val_accuracy": steps / STEPS, "val_loss": 1 - steps / STEPS}


def train(run):
    hidden = layers.Dense(32, activation="tanh")
    model = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(2)])
    batches = Episodes(model, run.batch_size, run.seed)
    judge = Balance([7, run.evaluate_on == "test"])
    model.compile(
        optimizer=run.optimizer(batches),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(
        batches,
        epochs=run.epochs,
        initial_epoch=run.epochs_done,
        callbacks=[judge, *recipe.callbacks(run, batches)],
        verbose=0,
    )


def main(argv=None):
    recipe.main("policy", train, __doc__, argv, epochs=12, batch_size=320)


if __name__ == "__main__":
    main()
