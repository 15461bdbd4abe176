"""What to say when the disk is full."""

import contextlib
import errno
import os
import sys

# No space left, and a quota used up. HDF5 puts their texts into errors of its own.
FULL = errno.ENOSPC, errno.EDQUOT


@contextlib.contextmanager
def message_when_full(folder, advice):
    """Turns the error of a full disk into a message and an exit."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        texts = map(os.strerror, FULL)
        number = getattr(error, "errno", None)
        if number not in FULL and not any(text in str(error) for text in texts):
            raise
        sys.exit(f"\nThe disk of {folder.resolve()} is full. {advice}")
