"""How many threads linear algebra takes, which is settled before numpy is loaded."""

import os
import sys

THREAD_SETTINGS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def one_thread_a_process() -> None:
    """Ask for one thread, unless numpy is there already or the user has asked for another number.

    Small matrices gain nothing from more, and worker processes share the processors.
    """
    if "numpy" not in sys.modules:
        for name in THREAD_SETTINGS:
            os.environ.setdefault(name, "1")
