"""One model trained on several devices: a script for each kind of distribution."""
