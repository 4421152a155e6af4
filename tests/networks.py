"""Losses of networks and their derivatives, without anything that the package differentiates by."""

import numpy as np

from reference_models import sigmoid_network


def loss(parameters, problem):
    network = problem.architecture
    names = zip(network.weight_names, network.bias_names, strict=True)
    return sigmoid_network.loss(
        [(parameters[W], parameters[b]) for W, b in names],
        problem.inputs,
        problem.targets,
        cost=network.loss,
        reduction=network.reduction,
    )


def complex_derivatives(problem):
    """Im f(x + i h e_j) / h, written out, so that no oracle of the package is trusted here."""
    network = problem.architecture
    point = {name: v.astype(complex) for name, v in problem.parameters.items()}
    X, Y = problem.inputs.astype(complex), problem.targets.astype(complex)
    pairs = [
        (point[W], point[b]) for W, b in zip(network.weight_names, network.bias_names, strict=True)
    ]
    derivatives = []
    for flat in (v.reshape(-1) for v in point.values()):
        for k in range(flat.size):
            saved = flat[k]
            flat[k] = saved + 1e-30j
            C = sigmoid_network.loss(pairs, X, Y, cost=network.loss, reduction=network.reduction)
            derivatives.append(C.imag / 1e-30)
            flat[k] = saved
    return np.array(derivatives)
