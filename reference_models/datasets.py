"""Two data sets from the UCI Machine Learning Repository, shipped with the package.

Files, licences and checksums are described in `data/README.md`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Readable(Protocol):
    """A file that yields its bytes: a path, or a resource of a package."""

    def read_bytes(self) -> bytes:
        """Return the whole content."""


@dataclass(frozen=True)
class Description:
    """What is known of a data set before its file is read.

    `sha256` is that of the decompressed file; `shape` is (examples, features).
    """

    name: str
    file: str
    shape: tuple[int, int]
    sha256: str
    class_names: tuple[str, ...]
    source: str
    licence: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled examples: inputs (m, n) in float64, labels (m,) counting class_names from 0."""

    name: str
    inputs: Array
    labels: Array
    feature_names: tuple[str, ...]
    class_names: tuple[str, ...]
    source: str
    licence: str


BREAST_CANCER = Description(
    name="breast cancer",
    file="breast_cancer.csv.gz",
    shape=(569, 30),
    sha256="ddac21cf58cef7fa9e5b519f4b012874e0e80560cceef34a8847ed0fdd333a5f",
    class_names=("malignant", "benign"),
    source="Wolberg, Mangasarian, Street and Street (1995), Breast Cancer Wisconsin (Diagnostic), "
    "UCI Machine Learning Repository, https://doi.org/10.24432/C5DW2B",
    licence="CC BY 4.0",
)
DIGITS = Description(
    name="digits",
    file="digits.csv.gz",
    shape=(1797, 64),
    sha256="bf355e7f0ed65efb395babf606b84d03d94ab7f40f1d7203c91605d6678a93ec",
    class_names=tuple("0123456789"),
    source="Alpaydin and Kaynak (1998), Optical Recognition of Handwritten Digits (test part), "
    "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49",
    licence="CC BY 4.0",
)


def load_breast_cancer() -> Dataset:
    """Load the Wisconsin breast cancer data, 569 x 30; label 1 is benign, 0 malignant.

    Raises:
        ValueError: the file is not the one that was shipped.

    >>> load_breast_cancer().inputs.shape
    (569, 30)
    """
    return read(files(__package__) / "data" / BREAST_CANCER.file, BREAST_CANCER)


def load_digits() -> Dataset:
    """Load the optical digits, 1797 images of 8 x 8 pixels from 0 to 16.

    Raises:
        ValueError: the file is not the one that was shipped.

    >>> load_digits().inputs.shape
    (1797, 64)
    """
    return read(files(__package__) / "data" / DIGITS.file, DIGITS)


def read(file: Readable, description: Description) -> Dataset:
    """Read a gzip'd CSV file (header line, label last) and hold it to its description.

    Raises:
        ValueError: the file cannot be decompressed, or its checksum or shape differ.
    """
    try:
        text = gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is no whole gzip file: {error}") from error
    found = hashlib.sha256(text).hexdigest()
    if found != description.sha256:
        raise ValueError(f"{file} has SHA-256 {found}, must have {description.sha256}")
    header, _, rows = text.decode("ascii").partition("\n")
    table = np.loadtxt(io.StringIO(rows), delimiter=",", ndmin=2)
    m, n = description.shape
    if table.shape != (m, n + 1):
        raise ValueError(f"{file} holds a table {table.shape}, must hold {(m, n + 1)}")
    return Dataset(
        name=description.name,
        inputs=np.ascontiguousarray(table[:, :-1]),
        labels=table[:, -1].astype(np.int64),
        feature_names=tuple(header.split(",")[:-1]),
        class_names=description.class_names,
        source=description.source,
        licence=description.licence,
    )


def standardise(inputs: Array, *, reference: Array | None = None) -> Array:
    """Shift and scale every column to mean 0 and variance 1; constant columns become 0.

    Args:
        inputs: (m, n).
        reference: (k, n), the examples whose mean and variance are used; inputs by default.

    >>> standardise(np.array([[1.0, 5.0], [3.0, 5.0]]))
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    reference = inputs if reference is None else reference
    constant = np.all(reference == reference[:1], axis=0)
    deviation = np.where(constant, 1.0, reference.std(axis=0))
    return np.where(constant, 0.0, (inputs - reference.mean(axis=0)) / deviation)


def one_hot(labels: Array, k: int) -> Array:
    """Return targets (m, k): 1 in the column of the label, else 0.

    Raises:
        ValueError: a label outside 0..k-1.

    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    outside = labels[~((labels >= 0) & (labels < k))]
    if outside.size:
        raise ValueError(f"labels contains {outside[0]}, must lie in 0..{k - 1}")
    return np.eye(k)[labels]


def held_out_split(
    data: Dataset, *, fraction: float = 0.25, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split into a training part and a held-out part, the same on every computer.

    Examples are ranked by the SHA-256 of the seed and their number; the last `fraction` of them
    (rounded down, at least one) are held out. Each part keeps the order of the data.

    Raises:
        ValueError: fraction not between 0 and 1.
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"fraction={fraction} must lie strictly between 0 and 1")
    m = len(data.labels)
    ranked = sorted(range(m), key=lambda i: hashlib.sha256(f"{seed}:{i}".encode()).digest())
    cut = m - max(1, int(fraction * m))
    return _examples(data, sorted(ranked[:cut])), _examples(data, sorted(ranked[cut:]))


def _examples(data: Dataset, rows: list[int]) -> Dataset:
    return replace(data, inputs=data.inputs[rows], labels=data.labels[rows])
