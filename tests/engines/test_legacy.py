"""Caffe and Theano in their environment, and the command that sets it up.

What needs the environment is skipped by name where it is not set up.
"""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines import legacy, legacy_setup
from gradcheck.engines.base import Unsupported
from gradcheck.engines.installed import NotInstalledError
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import parse, sample_cases
from gradcheck.rounding import gradient_bound, loss_bound

LIBRARY = {variant: name for name, variants in legacy.VARIANTS.items() for variant in variants}
BATCH = "gc1:3-4-2:{}:{}:m4:float32:w1:generic:soft:s5"
DEPTH, CASES = 2, 30

# Theano's C code answers sigmoid(z) = 1 beyond z = CUT. In float32 that is 5 u too much, which a
# sigmoid made of exp may err by; in float64 5e7 u, which no rounding explains.
CUT = {"float32": 15.0, "float64": 19.0}


@pytest.fixture(scope="module")
def made():
    """Engines by variant, started once."""
    engines = {}

    def make(variant):
        library = LIBRARY[variant]
        if not legacy.has(library, legacy.folder()):
            pytest.skip(f"{library} is not set up: {legacy.SETUP} {library}")
        if variant not in engines:
            factory = getattr(legacy, variant.replace("-", "_"))
            engines[variant] = factory()
        if "no C++ compiler" in engines[variant].info.version:
            pytest.skip("theano finds no C++ compiler, and computes otherwise than compiled")
        return engines[variant]

    yield make
    for engine in engines.values():
        engine.close()


def gradient(engine, problem):
    _, layers = engine.value_and_grad(problem)
    return np.concatenate([np.ravel(part) for layer in layers for part in layer]).astype(float)


def neuron(z, target, dtype):
    """One weight z, one input 1: the pre-activation is z."""
    X, W, b, Y = (np.array(value, dtype) for value in ([[1]], [[z]], [0], [[target]]))
    return Problem(Architecture((1, 1)), (W,), (b,), X, Y)


def largest_sum(problem):
    """Return the largest pre-activation of the network."""
    a, largest = problem.inputs.astype(float), -np.inf
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = a @ W.T.astype(float) + b
        a, largest = 1 / (1 + np.exp(-np.clip(z, -700, None))), max(largest, z.max())
    return largest


def excess(engine, problem, arithmetic):
    """Return the largest |g - G| over what rounding explains in an arithmetic."""
    exact = certified_gradient(problem)
    allowed = gradient_bound(problem, arithmetic) + exact.bound
    error = np.abs(gradient(engine, problem) - exact.gradient)
    return np.where(error == 0, 0.0, error / allowed).max()


# --- the gradients of Caffe and Theano ------------------------------------------------------------


def test_caffe_agrees_with_the_exact_gradient_within_the_rounding_of_an_absolute_sigmoid(made):
    engine = made("caffe")
    assert engine.info.arithmetic == "absolute_sigmoid"
    problems = [case.problem() for case in sample_cases(CASES, 3, dtypes=["float32"])]
    assert all(excess(engine, problem, "absolute_sigmoid") <= 1 for problem in problems)
    # its sigmoid is made of tanh: the next narrower class does not explain it
    assert not all(excess(engine, problem, "p_minus_y") <= 1 for problem in problems)


@pytest.mark.parametrize("variant", ["theano", "theano-logits"])
def test_theano_agrees_within_the_rounding_of_p_minus_y_but_beyond_the_cut_in_float64(
    variant, made
):
    engine = made(variant)
    assert engine.info.arithmetic == "p_minus_y"
    problems = [case.problem() for case in sample_cases(2 * CASES, 3, max_depth=DEPTH)]
    right = [p for p in problems if p.dtype == np.float32 or largest_sum(p) < CUT["float64"]]
    assert len(right) >= CASES
    assert all(excess(engine, problem, "p_minus_y") <= 1 for problem in right)
    assert not all(excess(engine, problem, "cancellation_free") <= 1 for problem in right)


@pytest.mark.parametrize("variant", ["caffe-textbook", "theano-textbook", "theano-fast-compile"])
def test_the_textbook_forms_agree_where_nothing_is_saturated(variant, made):
    engine = made(variant)
    limits = {"dtypes": engine.info.dtypes, "max_depth": DEPTH, "corners": ["generic"]}
    mild = [c.problem() for c in sample_cases(CASES, 3, **limits) if c.weight_scale <= 1]
    assert len(mild) > 5
    assert all(excess(engine, problem, "absolute_sigmoid") <= 1 for problem in mild)


@pytest.mark.parametrize("variant", LIBRARY)
@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
def test_loss_and_gradient_of_sum_are_those_of_mean_times_the_batch_exactly(variant, cost, made):
    engine = made(variant)
    mean, total = (parse(BATCH.format(cost, reduction)).problem() for reduction in ("mean", "sum"))
    assert engine.loss(total) == 4 * engine.loss(mean)
    np.testing.assert_array_equal(gradient(engine, total), 4 * gradient(engine, mean))


@pytest.mark.parametrize("variant", LIBRARY)
@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
def test_the_loss_is_the_one_that_comes_with_the_gradient_and_the_one_that_is_meant(
    variant, cost, made
):
    engine = made(variant)
    problem = parse(BATCH.format(cost, "mean")).problem()
    value, _ = engine.value_and_grad(problem)
    assert value == engine.loss(problem)
    exact = certified_gradient(problem)
    assert abs(value - exact.loss) <= loss_bound(problem, engine.info.arithmetic)


@pytest.mark.parametrize("variant", LIBRARY)
def test_an_answer_does_not_depend_on_what_was_asked_before(variant, made):
    engine = made(variant)
    one, other = (parse(BATCH.format(c, "mean")).problem() for c in ("cross_entropy", "quadratic"))
    first = gradient(engine, one)
    same_shape = Problem(one.architecture, one.weights, one.biases, one.inputs * 2, 1 - one.targets)
    for between in (one, other, same_shape):
        gradient(engine, between)
        np.testing.assert_array_equal(gradient(engine, one), first)


# --- saturated ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("z", "target"), [(-40, 0), (-90, 0), (20, 1), (40, 1), (90, 1)])
def test_caffe_loses_the_gradient_of_a_saturated_neuron_as_its_class_may(z, target, made):
    problem = neuron(z, target, "float32")
    assert gradient(made("caffe"), problem).tolist() == [0, 0]
    assert np.all(certified_gradient(problem).gradient != 0)
    assert excess(made("caffe"), problem, "absolute_sigmoid") <= 1


@pytest.mark.parametrize(("z", "target"), [(-90, 1), (-40, 1), (-20, 0), (-20, 1), (20, 0)])
def test_caffe_is_right_on_the_other_side(z, target, made):
    assert excess(made("caffe"), neuron(z, target, "float32"), "p_minus_y") <= 1


@pytest.mark.parametrize("variant", ["theano", "theano-logits"])
@pytest.mark.parametrize("dtype", CUT)
def test_theano_cuts_its_sigmoid_off_which_rounding_explains_in_float32_alone(variant, dtype, made):
    """The gradient for target 1 drops from -sigmoid(-z) to 0."""
    engine = made(variant)
    below, above = neuron(CUT[dtype], 1, dtype), neuron(CUT[dtype] + 0.25, 1, dtype)
    assert excess(engine, below, "p_minus_y") <= 1
    assert gradient(engine, above).tolist() == [0, 0]
    for arithmetic in ("p_minus_y", "absolute_sigmoid"):
        assert (excess(engine, above, arithmetic) <= 1) == (dtype == "float32")


@pytest.mark.parametrize("variant", ["theano", "theano-logits"])
@pytest.mark.parametrize("z", [40, 90])
def test_theano_loses_the_whole_gradient_of_a_neuron_saturated_at_its_target(variant, z, made):
    for dtype in CUT:
        assert gradient(made(variant), neuron(z, 1, dtype)).tolist() == [0, 0]


@pytest.mark.parametrize("variant", ["theano", "theano-logits"])
@pytest.mark.parametrize(("z", "target"), [(-40, 0), (-40, 1), (-20, 0), (-20, 1), (40, 0)])
def test_theano_is_right_for_saturated_neurons_elsewhere(variant, z, target, made):
    for dtype in CUT:
        assert excess(made(variant), neuron(z, target, dtype), "cancellation_free") <= 1


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize(
    ("variant", "dtype", "z"),
    [
        ("caffe-textbook", "float32", 20),
        ("caffe-textbook", "float32", -40),
        ("theano-textbook", "float32", 20),
        ("theano-textbook", "float64", 20),
        ("theano-fast-compile", "float32", 20),
        ("theano-fast-compile", "float64", 40),
        ("theano-fast-compile", "float64", -40),
    ],
)
def test_the_gradients_of_the_textbook_forms_are_nan_where_a_probability_is_0_or_1(
    variant, dtype, z, target, made
):
    assert np.isnan(gradient(made(variant), neuron(z, target, dtype))).all()


# --- what they do not support ---------------------------------------------------------------------


def test_caffe_takes_float32_alone(made):
    with pytest.raises(Unsupported, match="float64"):
        made("caffe").loss(neuron(1, 1, "float64"))


def test_theano_does_not_take_float16(made):
    with pytest.raises(Unsupported, match="float16"):
        made("theano").loss(neuron(1, 1, "float16"))


@pytest.mark.parametrize("library", legacy.VARIANTS)
def test_an_unknown_variant_is_named(library, made):
    made(library)
    ran = subprocess.run(
        legacy.command(library, "novel", legacy.folder()),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 1
    assert ran.stderr.endswith(f"must be one of {', '.join(legacy.VARIANTS[library])}\n")


# --- without the environment ----------------------------------------------------------------------


@pytest.fixture
def nothing_set_up(monkeypatch, tmp_path):
    monkeypatch.setenv(legacy.ENVIRONMENT, str(tmp_path / "legacy"))
    return tmp_path / "legacy"


@pytest.mark.parametrize("variant", LIBRARY)
def test_an_engine_that_is_not_set_up_says_how_to_do_it(variant, nothing_set_up):
    factory = variant.replace("-", "_")
    told = f"not set up in {nothing_set_up}: {legacy.SETUP} {LIBRARY[variant]}"
    with pytest.raises(NotInstalledError, match=re.escape(told)):
        getattr(legacy, factory)()
    with pytest.raises(EngineNotFoundError, match=re.escape(told)):
        find(f"py:gradcheck.engines.legacy:{factory}")


def test_the_environment_is_where_the_variable_says_else_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv(legacy.ENVIRONMENT, "~/old")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert legacy.folder() == tmp_path / "old"
    monkeypatch.delenv(legacy.ENVIRONMENT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert legacy.folder() == tmp_path / "c" / "gradcheck" / "legacy"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert legacy.folder() == tmp_path / ".cache" / "gradcheck" / "legacy"


@pytest.mark.parametrize("program", sorted(legacy.PROGRAMS.glob("*.py")), ids=lambda p: p.stem)
def test_the_programs_are_written_in_the_python_of_their_interpreter(program):
    ast.parse(program.read_text("utf-8"), feature_version=(3, 8))


def requirements(library):
    text = (legacy.PROGRAMS / f"requirements-{library}.txt").read_text("utf-8")
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("library", legacy.VARIANTS)
def test_requirements_are_pinned_and_name_no_place_to_get_them_from(library):
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", line) for line in some(requirements(library)))


def test_both_libraries_fit_into_one_environment():
    pins = [dict(line.split("==") for line in requirements(name)) for name in legacy.VARIANTS]
    shared = pins[0].keys() & pins[1].keys()
    assert "numpy" in shared
    assert all(pins[0][name] == pins[1][name] for name in some(shared))


# --- setting up, with a stand-in for the old interpreter ------------------------------------------

STAND_IN = """#!/bin/sh
echo "$@" >> {log}
case "$*" in
  *engine.py*) exec {python} {engine} ;;
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
  *"pip"*theano*) {theano} ;;
  *"pip"*) ;;
  "-c "*) echo CPython 3 {minor} ;;
esac
"""

ENGINE = """
import sys
sys.path.insert(0, {programs!r})
from serving import serve

def value_and_grad(problem):
    return 0.5, list(zip(problem["weights"], problem["biases"]))

info = dict(name="stand-in", version="1.2", dtypes=["float32"], losses=["quadratic"],
            reductions=["mean"])
serve(info, lambda problem: {loss}, value_and_grad)
"""


@pytest.fixture
def interpreter(tmp_path):
    """Make an executable that answers as an interpreter would, and keeps a log."""

    def make(minor=8, theano="true", loss="0.5", name="python3.8"):
        engine = tmp_path / "engine.py"
        engine.write_text(ENGINE.format(programs=str(legacy.PROGRAMS), loss=loss), "utf-8")
        path, log = tmp_path / name, tmp_path / "log"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = STAND_IN.format(
            log=log, python=sys.executable, engine=engine, minor=minor, theano=theano
        )
        path.write_text(text, "utf-8")
        path.chmod(0o755)
        return path

    return make


def log(tmp_path):
    return (tmp_path / "log").read_text("utf-8")


def test_setting_up_prints_the_command_of_every_engine(
    interpreter, nothing_set_up, tmp_path, capsys
):
    assert legacy_setup.main(["--python", str(interpreter())]) == 0
    lines = capsys.readouterr().out.splitlines()
    for variant, library in LIBRARY.items():
        said = lines.index(f"{variant} 1.2 works, by name or as")
        program = legacy.PROGRAMS / f"{library}_engine.py"
        assert lines[said + 1] == f"  cmd:{nothing_set_up}/bin/python {program} {variant}"
    assert "requirements-caffe.txt" in log(tmp_path)
    assert "requirements-theano.txt" in log(tmp_path)


def test_setting_up_again_makes_no_second_environment(interpreter, nothing_set_up, tmp_path):
    assert legacy_setup.main(["--python", str(interpreter()), "caffe"]) == 0
    assert legacy_setup.main(["caffe"]) == 0
    assert log(tmp_path).count("-m venv") == 1
    assert "theano" not in log(tmp_path)


def test_another_folder_is_told_as_the_variable_to_set(
    interpreter, nothing_set_up, tmp_path, capsys
):
    folder = tmp_path / "else where"
    arguments = ["--python", str(interpreter()), "--folder", str(folder), "caffe"]
    assert legacy_setup.main(arguments) == 0
    assert f"export {legacy.ENVIRONMENT}='{folder}'" in capsys.readouterr().out


def test_a_library_that_cannot_be_installed_does_not_keep_the_other_from_it(
    interpreter, nothing_set_up, capsys
):
    python = interpreter(theano="echo no such wheel >&2; exit 1")
    assert legacy_setup.main(["--python", str(python), "theano", "caffe"]) == 1
    said = capsys.readouterr()
    assert "installing theano failed:\nno such wheel" in said.err
    assert "caffe 1.2 works" in said.out


def test_an_engine_that_does_not_work_is_named(interpreter, nothing_set_up, capsys):
    assert legacy_setup.main(["--python", str(interpreter(loss="1 / 0")), "caffe"]) == 1
    said = capsys.readouterr().err
    assert "caffe does not work" in said
    assert "ZeroDivisionError" in said


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_an_interpreter_of_another_version_is_refused(
    how, interpreter, nothing_set_up, monkeypatch, capsys
):
    python = str(interpreter(minor=11))
    monkeypatch.setenv(legacy_setup.INTERPRETER, python if how == "variable" else "")
    assert legacy_setup.main(["--python", python] if how == "argument" else []) == 3
    assert f"{python} is no CPython 3.8 that runs" in capsys.readouterr().err
    assert not nothing_set_up.exists()


def test_without_an_old_interpreter_the_message_says_what_to_do(
    nothing_set_up, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.delenv(legacy_setup.INTERPRETER, raising=False)
    assert legacy_setup.main([]) == 3
    said = capsys.readouterr().err
    assert "no CPython 3.8 is found" in said
    assert legacy_setup.INTERPRETER in said


def test_an_interpreter_is_found_among_those_of_pyenv(interpreter, monkeypatch, tmp_path):
    python = interpreter(name="pyenv/versions/3.8.18/bin/python3.8")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.delenv(legacy_setup.INTERPRETER, raising=False)
    assert legacy_setup.find_interpreter() == str(python)


def test_a_folder_that_holds_something_else_is_left_alone(nothing_set_up, interpreter, capsys):
    nothing_set_up.mkdir()
    (nothing_set_up / "thesis.tex").write_text("mine", "utf-8")
    assert legacy_setup.main(["--python", str(interpreter())]) == 3
    assert "is no virtual environment" in capsys.readouterr().err
    assert [path.name for path in nothing_set_up.iterdir()] == ["thesis.tex"]


def test_an_environment_of_another_python_is_refused(nothing_set_up, interpreter, capsys):
    interpreter(minor=9, name="legacy/bin/python")
    assert legacy_setup.main(["caffe"]) == 3
    assert "has another Python; CPython 3.8 is needed" in capsys.readouterr().err


def test_an_unknown_library_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        legacy_setup.main(["torch"])
    assert stopped.value.code == 2
    assert "'torch' must be one of caffe, theano" in capsys.readouterr().err
