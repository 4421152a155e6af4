"""Libraries as symbol-to-number or symbol-to-symbol differentiators: what they return, and again.

Functions are written once, over the library's own exp and log. `derivative` differentiates what
differentiation has returned, `order` times; `usual_again` asks it of what the library's usual call
leaves behind.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from gradcheck.engines.registry import BUILT_IN

Array = npt.NDArray[Any]
Function = Callable[[Any, Any, Any], Any]
"""f(x, exp, log), entry by entry."""
Derivative = Callable[[Array], Array]


class PyTorch:
    """A tape: numbers in `x.grad`, and a graph on demand."""

    name, engine, as_said = "PyTorch", "torch", "Torch, symbol to number"
    contradicts: ClassVar = True

    def __init__(self) -> None:
        self.torch: Any = import_module("torch")

    def usual_again(self, f: Function, x: Array) -> bool:
        """Tell whether what `backward` leaves can be differentiated."""
        t = self._variable(x)
        f(t, self.torch.exp, self.torch.log).sum().backward()
        try:
            self.torch.autograd.grad(t.grad.sum(), t)
        except RuntimeError:
            return False
        return True

    def derivative(self, f: Function, order: int) -> Derivative:
        """Return the derivative of an order, entry by entry."""

        def at(x: Array) -> Array:
            t = self._variable(x)
            value = f(t, self.torch.exp, self.torch.log)
            for _ in range(order):
                (value,) = self.torch.autograd.grad(value.sum(), t, create_graph=True)
            return np.array(value.detach().numpy())

        return at

    def _variable(self, x: Array) -> Any:
        return self.torch.tensor(x, dtype=self.torch.float64, requires_grad=True)


class TensorFlow:
    """A tape within a tape."""

    name, engine, as_said = "TensorFlow", "tensorflow", "symbol to symbol"
    contradicts: ClassVar = False

    def __init__(self) -> None:
        self.tf: Any = import_module("tensorflow")

    def usual_again(self, f: Function, x: Array) -> bool:
        """Tell whether what the usual tape returns can be differentiated."""
        tf, t = self.tf, self.tf.constant(x)
        with tf.GradientTape() as outer:
            outer.watch(t)
            with tf.GradientTape() as tape:
                tape.watch(t)
                value = f(t, tf.exp, tf.math.log)
            g = tape.gradient(value, t)
        return outer.gradient(g, t) is not None

    def derivative(self, f: Function, order: int) -> Derivative:
        """Return the derivative of an order, entry by entry."""

        def differentiated(t: Any, order: int) -> Any:
            if order == 0:
                return f(t, self.tf.exp, self.tf.math.log)
            with self.tf.GradientTape() as tape:
                tape.watch(t)
                value = differentiated(t, order - 1)
            return tape.gradient(value, t)

        return lambda x: np.array(differentiated(self.tf.constant(x), order))


class Jax:
    """A function to a function."""

    name, engine, as_said = "JAX", "jax", "not named"
    contradicts: ClassVar = False

    def __init__(self) -> None:
        self.jax: Any = import_module("jax")

    def usual_again(self, f: Function, x: Array) -> bool:
        """Tell whether what `grad` returns can be differentiated."""
        return bool(np.all(np.isfinite(self.derivative(f, 2)(x))))

    def derivative(self, f: Function, order: int) -> Derivative:
        """Return the derivative of an order, entry by entry."""
        jnp = self.jax.numpy

        def value(x: Any) -> Any:
            return f(x, jnp.exp, jnp.log)

        for _ in range(order):
            value = self.jax.grad(value)

        def at(x: Array) -> Array:
            with self.jax.enable_x64(True):
                return np.array(self.jax.vmap(value)(jnp.asarray(x)))

        return at


class Autograd:
    """A function to a function."""

    name, engine, as_said = "Autograd", "autograd", "not named"
    contradicts: ClassVar = False

    def __init__(self) -> None:
        self.grad: Any = import_module("autograd").elementwise_grad
        self.numpy: Any = import_module("autograd.numpy")

    def usual_again(self, f: Function, x: Array) -> bool:
        """Tell whether what `elementwise_grad` returns can be differentiated."""
        return bool(np.all(np.isfinite(self.derivative(f, 2)(x))))

    def derivative(self, f: Function, order: int) -> Derivative:
        """Return the derivative of an order, entry by entry."""

        def value(x: Any) -> Any:
            return f(x, self.numpy.exp, self.numpy.log)

        for _ in range(order):
            value = self.grad(value)
        return lambda x: np.array(value(x))


class PyTensor:
    """Theano's successor: a graph to a graph, which is interpreted as it stands."""

    name, engine, as_said = "PyTensor", "pytensor", "Theano, symbol to symbol"
    contradicts: ClassVar = False

    def __init__(self) -> None:
        self.pytensor: Any = import_module("pytensor")
        self.tensor: Any = import_module("pytensor.tensor")

    def usual_again(self, f: Function, x: Array) -> bool:
        """Tell whether what `grad` returns can be differentiated."""
        return bool(np.all(np.isfinite(self.derivative(f, 2)(x))))

    def derivative(self, f: Function, order: int) -> Derivative:
        """Return the derivative of an order, entry by entry."""
        x = self.tensor.dvector("x")
        value = f(x, self.tensor.exp, self.tensor.log)
        for _ in range(order):
            value = self.pytensor.grad(value.sum(), x)
        as_it_stands = self.pytensor.compile.mode.Mode(linker="py", optimizer=None)
        compiled = self.pytensor.function([x], value, mode=as_it_stands)
        return lambda at: np.array(compiled(np.array(at)))


Library = PyTorch | TensorFlow | Jax | Autograd | PyTensor
LIBRARIES: dict[str, type[Library]] = {
    library.engine: library for library in (PyTorch, TensorFlow, PyTensor, Jax, Autograd)
}


def version(name: str) -> str:
    """Return the installed version of a library of the table, "" if there is none."""
    module, _, attribute = BUILT_IN[name].partition(":")
    return str(getattr(import_module(module), attribute).source.version)


def installed() -> tuple[str, ...]:
    """Return the names of those that are installed, without importing them."""
    return tuple(name for name in LIBRARIES if version(name))
