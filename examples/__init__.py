"""Model.fit scripts, one for each experiment; run with `python -m examples.NAME`."""
