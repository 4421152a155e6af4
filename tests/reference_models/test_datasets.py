import gzip
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from reference_models.datasets import (
    BREAST_CANCER,
    DIGITS,
    held_out_split,
    load_breast_cancer,
    load_digits,
    one_hot,
    read,
    standardise,
)

DATA = files("reference_models") / "data"


def test_breast_cancer_is_what_its_authors_counted():
    data = load_breast_cancer()
    assert data.inputs.shape == (569, 30)
    assert data.inputs.dtype == np.float64
    assert len(data.feature_names) == 30
    assert data.class_names == ("malignant", "benign")
    assert np.bincount(data.labels).tolist() == [212, 357]
    radius = data.inputs[:, data.feature_names.index("mean radius")]
    assert (radius.min(), radius.max()) == (6.981, 28.11)
    assert radius[data.labels == 0].mean() > radius[data.labels == 1].mean()  # malignant is larger
    assert data.inputs[0, :3].tolist() == [17.99, 10.38, 122.8]
    assert data.licence == "CC BY 4.0"


def test_digits_are_what_their_authors_counted():
    data = load_digits()
    assert data.inputs.shape == (1797, 64)
    assert data.inputs.flags.c_contiguous
    assert data.feature_names[9] == "pixel 1 1"
    assert (data.inputs.min(), data.inputs.max()) == (0, 16)
    assert np.array_equal(data.inputs, np.round(data.inputs))
    counts = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.bincount(data.labels).tolist() == counts
    assert data.labels[:10].tolist() == list(range(10))


@pytest.mark.parametrize("description", [BREAST_CANCER, DIGITS], ids=lambda d: d.name)
def test_the_file_is_named_with_its_licence_source_and_checksum(description):
    about = (DATA / "README.md").read_text(encoding="utf-8")
    for fact in (description.file, description.sha256, description.licence):
        assert fact in about
    doi = description.source.rpartition(" ")[2]
    assert doi in about
    assert (DATA / description.file).read_bytes()[4:8] == bytes(4)  # no time in the gzip header


@pytest.mark.parametrize("description", [BREAST_CANCER, DIGITS], ids=lambda d: d.name)
def test_a_changed_file_is_refused(description, tmp_path):
    original = (DATA / description.file).read_bytes()
    copy = Path(tmp_path) / description.file
    copy.write_bytes(original)
    read(copy, description)
    text = gzip.decompress(original)
    digit = text.rindex(b"0")
    copy.write_bytes(gzip.compress(text[:digit] + b"1" + text[digit + 1 :]))
    with pytest.raises(ValueError, match=f"SHA-256 .* must have {description.sha256}"):
        read(copy, description)
    middle = len(original) // 2
    flipped = bytes([original[middle] ^ 0xFF])
    for broken in (original[:middle], original[:middle] + flipped + original[middle + 1 :], b"x"):
        copy.write_bytes(broken)
        with pytest.raises(ValueError, match=f"{description.file} (is no whole gzip|has SHA-256)"):
            read(copy, description)


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"holds a table \(569, 31\), must hold \(570, 31\)"):
        read(DATA / BREAST_CANCER.file, replace(BREAST_CANCER, shape=(570, 30)))


@pytest.mark.parametrize("description", [BREAST_CANCER, DIGITS])
def test_loading_reads_a_small_file_once_and_every_number_in_one_call(description, monkeypatch):
    reads, tables, right = [], [], np.loadtxt

    class File:
        def read_bytes(self):
            reads.append((DATA / description.file).read_bytes())
            return reads[-1]

    def loadtxt(*arguments, **options):
        tables.append(right(*arguments, **options))
        return tables[-1]

    monkeypatch.setattr(np, "loadtxt", loadtxt)
    m, n = description.shape
    assert len(read(File(), description).labels) == m
    assert [len(data) < 2**17 for data in reads] == [True]
    assert [table.shape for table in tables] == [(m, n + 1)]


def test_standardised_columns_have_mean_0_and_variance_1():
    """Sums of m rounded numbers: gamma_m with a constant for the few operations each."""
    inputs = standardise(load_digits().inputs)
    raw = load_digits().inputs
    allowed = 8 * len(raw) * 2.0**-53
    constant = np.ptp(raw, axis=0) == 0
    assert constant.sum() == 3
    assert np.all(inputs[:, constant] == 0)
    live = inputs[:, ~constant]
    assert np.all(np.abs(live.mean(axis=0)) <= allowed * np.abs(live).max(axis=0))
    assert np.all(np.abs(live.var(axis=0) - 1) <= allowed * np.square(live).max(axis=0))


def test_a_constant_column_is_0_even_where_its_mean_is_rounded():
    assert np.all(standardise(np.full((3, 1), 0.1)) == 0)  # mean(0.1, 0.1, 0.1) > 0.1


def test_standardising_by_a_reference_uses_its_mean_and_variance():
    reference = np.array([[0.0, 1.0], [4.0, 1.0]])
    held_out = np.array([[6.0, 3.0]])
    np.testing.assert_array_equal(standardise(held_out, reference=reference), [[2.0, 0.0]])


def test_one_hot_marks_the_label():
    labels = load_digits().labels
    targets = one_hot(labels, 10)
    assert targets.shape == (1797, 10)
    np.testing.assert_array_equal(targets.sum(axis=1), 1)
    np.testing.assert_array_equal(targets.argmax(axis=1), labels)
    for bad in (-1, 10):
        with pytest.raises(ValueError, match=rf"labels contains {bad}, must lie in 0..9"):
            one_hot(np.array([0, bad]), 10)


def test_the_split_parts_the_data_and_is_the_same_for_ever():
    data = load_breast_cancer()
    training, held_out = held_out_split(data, fraction=0.25)
    assert (len(training.labels), len(held_out.labels)) == (427, 142)
    rows = {tuple(row) for part in (training, held_out) for row in part.inputs}
    assert rows == {tuple(row) for row in data.inputs}
    again = held_out_split(data, fraction=0.25)[1]
    np.testing.assert_array_equal(again.inputs, held_out.inputs)
    other = held_out_split(data, fraction=0.25, seed=1)[1]
    assert not np.array_equal(other.inputs, held_out.inputs)
    assert held_out.feature_names == data.feature_names
    with pytest.raises(ValueError, match=r"fraction=1.0 must lie strictly between 0 and 1"):
        held_out_split(data, fraction=1.0)
