"""Every peer passes a right gradient, catches a gross error, and counts as its documents say.

A peer whose library is missing is skipped by name.
"""

import importlib.util
import subprocess
import sys
import warnings
from itertools import count

import numpy as np
import pytest

from gradcheck.engines.installed import Library, NotInstalledError
from gradcheck.engines.registry import find
from gradcheck.problem import gradient_as_dict
from gradcheck.problems.case import Case
from gradcheck.studies.peers.base import Judgement, Peer, Planted, like, slices
from gradcheck.studies.peers.compared import compared
from gradcheck.studies.peers.course_rule import central_differences
from gradcheck.studies.peers.registry import ALL, PEERS, available, missing
from gradcheck.studies.peers.torch_gradcheck import TORCH_STRICT

NAMING = {"numdifftools", "jacobi", "course rule"}
NATIVE = [peer for peer in ALL if peer.make_native is not None]
PASSES = {  # of a black box of N coordinates
    "torch slow": lambda N: 2 * N + 2,
    "torch slow, atol 1e-9": lambda N: 2 * N + 2,
    "torch slow, scaled": lambda N: 2 * N + 3,
    "course rule": lambda N: 2 * N,
    "scipy check_grad": lambda N: N + 1,
    "scipy 3-point": lambda N: 2 * N + 1,
    "numdifftools": lambda N: 30 * N + 1,
    "torch fast": lambda N: 4,
    "jax check_grads": lambda N: 4,
    "autograd check_grads": lambda N: 4,
}
ADAPTIVE = {"jacobi"}
"""It asks until its own estimate of the error is small."""


@pytest.fixture(params=available())
def peer(request):
    return PEERS[request.param]


@pytest.fixture(params=[peer.name for peer in NATIVE])
def native(request):
    need(request.param)
    return PEERS[request.param]


def need(name):
    """Skip, by name, where a library is missing."""
    if name not in available():
        pytest.skip(f"the library of {name} is missing")


@pytest.fixture(autouse=True)
def warnings_of_libraries():
    """What the libraries warn of at import is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def f(x):
    return float(np.sum(np.cosh(x)) + x[0] * x[-1])


def right(x):
    g = np.sinh(x)
    g[0] += x[-1]
    g[-1] += x[0]
    return g


X = np.array([0.3, -0.7, 1.1, 0.4, -0.2])


def problem(loss="cross_entropy", reduction="mean"):
    sizes = (4, 3, 2)
    return Case(sizes=sizes, loss=loss, reduction=reduction, batch=5).problem()


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_is_tested_where_its_library_is_installed(name):
    if not PEERS[name].version:
        pytest.skip(f"not tested: {name}, {PEERS[name].package.distributions[0]} is missing")
    assert PEERS[name].checker(f, right, X)() is not None


# --- a black box ----------------------------------------------------------------------------------


def test_a_right_gradient_passes(peer):
    assert peer.checker(f, right, X)().passed


def test_twice_the_gradient_is_caught(peer):
    assert not peer.checker(f, lambda x: 2 * right(x), X)().passed


def test_a_gradient_of_zeros_is_caught(peer):
    assert not peer.checker(f, np.zeros_like, X)().passed


def test_a_gradient_that_is_not_a_number_is_caught(peer):
    assert not peer.checker(f, lambda x: np.full_like(x, np.nan), X)().passed


def test_the_wrong_coordinate_is_named_by_those_that_compare_each(peer):
    judged = peer.checker(f, lambda x: right(x) * [1, 1, 1.5, 1, 1], X)()
    assert not judged.passed
    assert judged.named == (2 if peer.name in NAMING else None)


def test_the_same_check_can_be_run_again(peer):
    check = peer.checker(f, right, X)
    assert [check().passed for _ in range(3)] == [True] * 3


def test_x_is_left_alone(peer):
    x = X.copy()
    x.flags.writeable = False
    peer.checker(f, right, x)()
    np.testing.assert_array_equal(x, X)


def test_every_forward_pass_is_a_call_of_the_loss(peer):
    calls = count()

    def counting(x):
        next(calls)
        return f(x)

    peer.checker(counting, right, X)()
    passes = next(calls)
    assert passes >= (len(X) if peer.every_coordinate else 2)
    assert peer.name in ADAPTIVE or passes == PASSES[peer.name](len(X))


def test_the_dtype_of_the_point_is_kept(peer):
    seen = set()

    def single(x):
        seen.add(x.dtype.name)
        return np.float32(f(x))

    peer.checker(single, right, X.astype(np.float32))()
    assert seen == {"float32"}


@pytest.mark.parametrize("name", [peer.name for peer in ALL if not peer.every_coordinate])
def test_the_dtype_of_a_large_point_is_kept(name):
    """Some libraries call back in another thread when there is much to be handed over."""
    need(name)
    seen, x = set(), np.linspace(-1, 1, 200_000)

    def mean_square(x):
        seen.add(x.dtype.name)
        return float(x @ x / x.size)

    assert PEERS[name].checker(mean_square, lambda x: 2 * x / x.size, x)().passed
    assert seen == {"float64"}


def test_an_error_of_the_loss_comes_through(peer):
    class LossError(ValueError):
        pass

    def broken(x):
        raise LossError("the loss fell over")

    with pytest.raises(Exception, match="the loss fell over"):
        peer.checker(broken, right, X)()


def test_a_network_passes_and_its_wrong_backprop_does_not(peer):
    network, engine = problem(), find("reference")
    shapes = {name: array.shape for name, array in network.parameters.items()}
    ends = np.cumsum([array.size for array in network.parameters.values()])

    def at(x):
        parts = np.split(x, ends[:-1])
        named = zip(shapes.items(), parts, strict=True)
        return network.with_parameters({n: part.reshape(shape) for (n, shape), part in named})

    def gradient(x):
        layers = engine.value_and_grad(at(x))[1]
        return np.concatenate([a.ravel() for a in gradient_as_dict(layers).values()])

    x = np.concatenate([array.ravel() for array in network.parameters.values()])
    assert peer.checker(lambda x: engine.loss(at(x)), gradient, x)().passed
    assert not peer.checker(lambda x: engine.loss(at(x)), lambda x: 2 * gradient(x), x)().passed


@pytest.mark.parametrize("x", [X.astype(np.float16), X.reshape(1, 5), [0.1, 0.2]])
def test_a_point_of_another_kind_is_refused(x):
    with pytest.raises(TypeError, match=r"x=.* must be a vector of float64 or float32"):
        PEERS["course rule"].checker(f, right, x)


# --- a network in the library itself --------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_native_network_passes(native, loss, reduction):
    if native is TORCH_STRICT and reduction == "sum":
        pytest.skip("its tolerance is that of a loss about 1; this one is 7 and more")
    assert native.native(problem(loss, reduction), lambda: None)().passed


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
def test_a_planted_error_in_a_native_network_is_caught(native, loss):
    network = problem(loss)
    largest = int(np.argmax(np.abs(flat_gradient(network))))
    assert not native.native(network, lambda: None, Planted(largest, 1.0))().passed
    assert native.native(network, lambda: None, Planted(largest, 0.0))().passed


def flat_gradient(network):
    layers = find("reference").value_and_grad(network)[1]
    return np.concatenate([a.ravel() for a in gradient_as_dict(layers).values()])


def test_the_forward_passes_of_a_native_network_are_counted(native):
    calls = count()
    network = problem()
    native.native(network, lambda: next(calls))()
    least = 2 * network.architecture.n_parameters if native.every_coordinate else 2
    assert next(calls) >= least


def test_forward_passes_of_a_native_network_are_its_loss(native, monkeypatch):
    """So many as are asked for, each the loss that the reference network has."""
    network, found = problem(), []
    module = sys.modules[native.make_forward.__module__]
    name = "network_in_torch" if native.name.startswith("torch") else "_network"
    build = getattr(module, name)

    def watched(*given):
        cost, parameters = build(*given)

        def noted(*arrays):
            value = cost(*arrays)
            found.append(float(value.detach() if hasattr(value, "detach") else value))
            return value

        return noted, parameters

    monkeypatch.setattr(module, name, watched)
    native.forward(network)(3)
    exact = find("reference").loss(network)
    np.testing.assert_allclose(found, [exact] * 3, rtol=1e-13)


def test_a_tool_that_differentiates_nothing_has_no_native_network():
    with pytest.raises(TypeError, match="course rule differentiates nothing itself"):
        PEERS["course rule"].native(problem(), lambda: None)
    with pytest.raises(TypeError, match="course rule differentiates nothing itself"):
        PEERS["course rule"].forward(problem())


@pytest.mark.parametrize(("name", "scale"), [("torch slow", 1e-6), ("torch slow, scaled", 1e6)])
def test_tolerances_follow_the_loss_where_they_are_scaled(name, scale):
    """A derivative wrong by 10 % is seen at every scale of the loss; at the defaults it is not."""
    need(name)

    def check(factor, scale):
        wrong = [1, 1, factor, 1, 1]
        return PEERS[name].checker(lambda x: scale * f(x), lambda x: scale * right(x) * wrong, X)

    assert check(1.0, scale)().passed
    assert check(1.1, scale)().passed == (name == "torch slow")


# --- what is not installed ------------------------------------------------------------------------


def absent():
    library = Library("peers", ["no-such-distribution"], "")
    return Peer("absent", library, "none", True, lambda *_: lambda: Judgement(passed=True))


def test_a_missing_library_says_how_to_install_it():
    for use in (lambda: absent().checker(f, right, X), lambda: absent().native(None, None)):
        with pytest.raises(NotInstalledError, match=r"pip install 'gradcheck\[peers\]'"):
            use()


def test_every_peer_is_available_or_missing():
    assert {**available(), **missing()}.keys() == PEERS.keys()
    assert not available().keys() & missing().keys()
    assert absent().version == ""


def test_naming_the_peers_imports_no_library():
    code = "import sys, gradcheck.studies.peers.registry as r; r.available(); print(*sys.modules)"
    loaded = set(run_python(code).split())
    libraries = {"torch", "jax", "autograd", "scipy", "numdifftools", "jacobi"}
    assert not loaded & libraries


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_libraries_are_found_as_they_are_imported():
    imported = {"torch": "torch slow", "jax": "jax check_grads", "jacobi": "jacobi"}
    for module, name in imported.items():
        assert bool(PEERS[name].version) == (importlib.util.find_spec(module) is not None)


# --- parts ----------------------------------------------------------------------------------------


def test_central_differences_of_a_quadratic_are_its_derivatives():
    n = central_differences(lambda x: float(x @ x), X)
    np.testing.assert_allclose(n, 2 * X, rtol=1e-9)


def test_a_planted_error_lands_on_its_coordinate():
    arrays = [np.zeros((2, 3)), np.zeros(2), np.zeros((1, 2)), np.zeros(1)]
    parts = slices(Planted(7, 0.25), arrays)
    assert [part is None for part in parts] == [True, False, True, True]
    np.testing.assert_array_equal(parts[1], [1, 1.25])


def test_what_is_not_a_number_is_the_worst():
    assert compared(np.array([1.0, np.nan, 9.0]), np.array([1.0, 2.0, 3.0])).named == 1


def test_a_function_sees_the_dtype_of_x():
    assert like(np.zeros(1, np.float32), lambda x: x.dtype.name)(np.zeros(1)) == "float32"
