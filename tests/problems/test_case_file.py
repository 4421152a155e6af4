"""Case files hold any problem exactly, and say where a malformed one is wrong."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from some import some

from gradcheck.problem import DTYPES, Architecture, Problem
from gradcheck.problems.case_file import from_hexadecimal, read_case, to_hexadecimal, write_case
from gradcheck.problems.strategies import problems

SIZES = (2, 3, 1)


def awkward(dtype):
    """A problem of numbers that decimals or narrower formats would not keep."""
    one = DTYPES[dtype].type(1)
    info = np.finfo(dtype if dtype != "longdouble" else np.longdouble)
    third = one / 3
    W1 = [[info.max, -info.max], [info.smallest_subnormal, info.tiny], [third, -third]]
    b1 = [info.eps, one + info.eps, -0.0 * one]
    W2 = [[one - info.epsneg, np.nextafter(third, one), third * info.tiny]]
    made = [np.array(array, dtype=DTYPES[dtype]) for array in (W1, b1, W2, [third], [[0, third]])]
    W1, b1, W2, b2, X = made
    Y = np.array([[third]], dtype=DTYPES[dtype])
    return Problem(Architecture(SIZES, "quadratic", "sum"), (W1, W2), (b1, b2), X, Y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_file_holds_a_problem_exactly(dtype, tmp_path):
    problem = awkward(dtype)
    write_case(tmp_path / "case.json", problem)
    again = read_case(tmp_path / "case.json")
    assert again == problem
    assert np.signbit(again.biases[0][2])
    assert not again.inputs.flags.writeable


@given(problem=problems(max_parameters=60, dtypes=("float64", "float32", "float16", "longdouble")))
def test_every_random_problem_survives_its_file(tmp_path_factory, problem):
    path = tmp_path_factory.getbasetemp() / "random-case.json"
    write_case(path, problem)
    assert read_case(path) == problem


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@given(data=st.data())
def test_every_number_survives_as_hexadecimal(dtype, data):
    finite = {"allow_nan": False, "allow_infinity": False, "width": int(dtype[-2:])}
    array = data.draw(arrays(DTYPES[dtype], 5, elements=st.floats(**finite)))
    for value in some(array):
        again = from_hexadecimal(to_hexadecimal(value), DTYPES[dtype])
        assert again.dtype == value.dtype
        assert again.tobytes() == value.tobytes()


@given(mantissa=st.integers(-(2**63) + 1, 2**63 - 1), power=st.integers(-1100, 900))
def test_every_longdouble_survives_as_hexadecimal(mantissa, power):
    value = np.ldexp(np.longdouble(mantissa), power)
    again = from_hexadecimal(to_hexadecimal(value), DTYPES["longdouble"])
    assert again.dtype == value.dtype
    assert again == value
    assert np.signbit(again) == np.signbit(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0x1.8p+1", 3.0),
        ("0X1.8P1", 3.0),
        ("+0x3p0", 3.0),
        ("-0x0p+0", -0.0),
        ("0x1.p-1074", 5e-324),
        ("0x0.0000000000001p-1022", 5e-324),
        ("0x3000000000000000000000p-84", 3.0),
    ],
)
def test_constants_of_other_writers_are_read(text, value):
    read = from_hexadecimal(text, DTYPES["float64"])
    assert read == value
    assert np.signbit(read) == np.signbit(value)
    assert value == float.fromhex(text)


@pytest.mark.parametrize(
    ("text", "dtype", "message"),
    [
        ("0.1", "float64", "'0.1' is not a hexadecimal constant"),
        ("1", "float64", "not a hexadecimal constant"),
        ("0x1", "float64", "not a hexadecimal constant"),
        ("inf", "float64", "not a hexadecimal constant"),
        ("nan", "float64", "not a hexadecimal constant"),
        ("0x1p+0 ", "float64", "not a hexadecimal constant"),
        ("0x1p999999", "float64", "not a hexadecimal constant"),
        ("0x1p+1024", "float64", "'0x1p.1024' is not exactly a float64"),
        ("0x1p-1075", "float64", "not exactly a float64"),
        ("0x1.00000000000008p+0", "float64", "not exactly a float64"),
        ("0x1.000001p+0", "float32", "not exactly a float32"),
        ("0x1p+16", "float16", "not exactly a float16"),
        ("0x1p99999", "longdouble", "not exactly a longdouble"),
    ],
)
def test_constants_that_cannot_be_held_are_refused_not_rounded(text, dtype, message):
    with pytest.raises(ValueError, match=message):
        from_hexadecimal(text, DTYPES[dtype])


def test_hexadecimal_is_exact_where_longdouble_is_wider():
    value = np.longdouble(1) + np.finfo(np.longdouble).eps
    sign_and_digits, power = to_hexadecimal(value).split("p")
    assert Fraction(int(sign_and_digits, 16)) * Fraction(2) ** int(power) == Fraction(
        *value.as_integer_ratio()
    )


# --- the file -----------------------------------------------------------------------------------


def content_of(problem, path):
    write_case(path, problem)
    return json.loads(path.read_text("utf-8"))


def test_a_file_says_what_it_is(tmp_path):
    content = content_of(awkward("float64"), tmp_path / "case.json")
    assert content["format"] == "gradcheck-case"
    assert content["version"] == 1
    assert content["sizes"] == [2, 3, 1]
    assert (content["loss"], content["reduction"]) == ("quadratic", "sum")
    assert content["weights"][0][0][0] == "0x1.fffffffffffffp+1023"


def set_(*path_and_value):
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


def drop(*path):
    *way, last = path

    def change(content):
        for key in way:
            content = content[key]
        del content[last]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_("format", "other"), 'must be an object with "format": "gradcheck-case"'),
        (drop("format"), "not a case file"),
        (set_("version", 2), "version is 2; only 1 can be read"),
        (set_("version", True), "version is True"),
        (drop("version"), "version is None"),
        (drop("targets"), "targets is missing"),
        (set_("comment", "x"), "key='comment'; it must be one of format, version, sizes"),
        (set_("dtype", "float80"), "dtype='float80'; it must be one of"),
        (set_("dtype", None), "dtype=None"),
        (set_("dtype", []), r"dtype=\[\]"),
        (set_("loss", "hinge"), "loss='hinge'"),
        (set_("reduction", 3), "reduction=3"),
        (set_("sizes", 3), "sizes is int; it must be a list"),
        (set_("sizes", 1, 3.0), r"sizes\[1\] is 3.0; it must be a whole number"),
        (set_("sizes", 1, True), r"sizes\[1\] is True"),
        (set_("sizes", [2]), r"sizes=\(2,\) has 1 entry"),
        (set_("sizes", [2, 4, 1]), r"weights\[0\] has 3 entries; it must have 4"),
        (set_("sizes", [2, 3, 1, 1]), "weights has 2 entries; it must have 3"),
        (set_("weights", 0, 2, 1, "0.5"), r"weights\[0\]\[2\]\[1\]: '0.5' is not a hexadecimal"),
        (set_("weights", 0, 2, 1, 0.5), r"weights\[0\]\[2\]\[1\] is 0.5; it must be a string"),
        (set_("weights", 0, 2, 1, "0x1p+2000"), r"weights\[0\]\[2\]\[1\]: .* is not exactly"),
        (set_("weights", 0, 2, []), r"weights\[0\]\[2\] has 0 entries; it must have 2"),
        (set_("weights", 0, 2, "0x1p0"), r"weights\[0\]\[2\] is str; it must be a list"),
        (set_("weights", 0, None), r"weights\[0\] is NoneType; it must be a list"),
        (set_("weights", {}), "weights is dict; it must be a list"),
        (drop("biases", 1), "biases has 1 entries; it must have 2"),
        (set_("biases", 0, 1, None), r"biases\[0\]\[1\] is None; it must be a string"),
        (set_("inputs", 0, ["0x1p0"]), r"inputs\[0\] has 1 entries; it must have 2"),
        (set_("inputs", []), "inputs has 0 entries; it must have at least 1"),
        (set_("targets", []), "targets has 0 entries; it must have 1"),
        (set_("targets", 0, 0, "0x1p+1"), r"targets has values .*must be in \[0, 1\]"),
    ],
)
def test_a_malformed_file_is_refused_naming_the_place(change, message, tmp_path):
    path = tmp_path / "case.json"
    content = content_of(awkward("float64"), path)
    change(content)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match=message) as refusal:
        read_case(path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[1, 2", "[]", "null", "3", '"gradcheck-case"', "[" * 100_000]
)
def test_what_is_no_case_file_is_refused(text, tmp_path):
    path = tmp_path / "case.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"not JSON|not a case file"):
        read_case(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "case.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not JSON"):
        read_case(path)


def test_writing_is_all_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "case.json"
    write_case(path, awkward("float64"))
    before = path.read_text("utf-8")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_case(path, awkward("float32"))
    assert path.read_text("utf-8") == before
    assert os.listdir(tmp_path) == ["case.json"]  # noqa: PTH208  names, not paths


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "case.json"
    write_case(path, awkward("float64"))
    write_case(str(path), awkward("float32"))
    assert read_case(path) == awkward("float32")
    assert [entry.name for entry in tmp_path.iterdir()] == ["case.json"]
