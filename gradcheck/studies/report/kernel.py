"""Names the kernel that OpenBLAS, the library of numpy's matrix products, has chosen.

OpenBLAS chooses it by the processor, or by the environment variable OPENBLAS_CORETYPE. Kernels add
in different orders: rounding errors and times depend on it.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

UNKNOWN = "unknown"
"""Said where numpy brings no OpenBLAS of its own."""

FUNCTIONS = ("scipy_openblas_get_corename64_", "scipy_openblas_get_corename")
"""What the library calls the function that tells, with integers of 64 and of 32 bits."""

FOLDERS = ("../numpy.libs", ".dylibs")
"""Where numpy's distributions keep their libraries, from the folder of the package."""


def kernel(package: Path = Path(np.__file__).parent) -> str:
    """Name the kernel of the library that a numpy package brings.

    Args:
        package: the package's folder.
    """
    for folder in FOLDERS:
        for library in sorted((package / folder).glob("*openblas*")):
            for name in FUNCTIONS:
                function = getattr(ctypes.CDLL(str(library)), name, None)
                if function is not None:
                    function.restype = ctypes.c_char_p
                    return str(function().decode("ascii"))
    return UNKNOWN
