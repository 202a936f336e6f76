"""Loading the application into a process that then serves for long.

Belongs here: Python's garbage collector meanwhile. Does not: what is loaded (wsgi.py, worker.py).
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """No garbage is looked for in the block, and what it leaves is never searched afterwards.

    It makes half a million objects that stay. Looking through them, again and again while they
    come, took the api 0.4 of 1.8 s of one core; what garbage there is costs 7 MB.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
