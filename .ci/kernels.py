"""Names the kernels of OpenBLAS that numpy could use on this processor, and does not.

numpy's products of matrices run in a kernel that OpenBLAS chooses by the processor, or by the
environment variable OPENBLAS_CORETYPE. Kernels sum in different orders: a test that is right under
one of them only is wrong. Prints one name a line, the widest first; nothing where numpy is built
with another library, or the processor is no x86.
"""

import ctypes
import sys
from pathlib import Path

import numpy as np

NEEDS = {
    "SkylakeX": {"avx512f", "avx512dq", "avx512vl", "avx512bw"},
    "Haswell": {"avx2", "fma"},
    "Sandybridge": {"avx"},
    "Prescott": {"pni"},
}
"""The flags that a processor has, as /proc/cpuinfo writes them, and the kernel that needs them."""

ALIASES = {"Zen": "Haswell", "Cooperlake": "SkylakeX", "Katmai": "Prescott"}
"""Names that are live beside those that can be asked for: the same code, or code as narrow."""


def possible(flags: set[str]) -> list[str]:
    """Return the kernels that a processor with these flags can run."""
    return [kernel for kernel, needed in NEEDS.items() if needed <= flags]


def live() -> str | None:
    """Return the name of the kernel that numpy has chosen; None if it cannot be known."""
    package = Path(np.__file__).parent
    for library in sorted(package.parent.glob("numpy.libs/*openblas*")):
        for name in ("scipy_openblas_get_corename64_", "openblas_get_corename"):
            function = getattr(ctypes.CDLL(str(library)), name, None)
            if function is not None:
                function.restype = ctypes.c_char_p
                kernel = function().decode("ascii")
                return ALIASES.get(kernel, kernel)
    return None


def others(kernel: str | None, flags: set[str]) -> list[str]:
    """Return the kernels that could be asked for instead of the live one."""
    return [] if kernel is None else [name for name in possible(flags) if name != kernel]


def flags_of(cpuinfo: str) -> set[str]:
    """Return the flags of the first processor in the text of /proc/cpuinfo."""
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    return next((set(flags.split()) for name, _, flags in lines if name.strip() == "flags"), set())


if __name__ == "__main__":
    info = Path("/proc/cpuinfo")
    found = others(live(), flags_of(info.read_text("utf-8") if info.exists() else ""))
    sys.stdout.writelines(f"{name}\n" for name in found)
