"""Every peer by name. Naming them imports no library; using one does."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from gradcheck.studies.peers.autograd_check_grads import AUTOGRAD
from gradcheck.studies.peers.base import Peer
from gradcheck.studies.peers.course_rule import COURSE_RULE
from gradcheck.studies.peers.jacobi_estimate import JACOBI
from gradcheck.studies.peers.jax_check_grads import JAX
from gradcheck.studies.peers.numdifftools_gradient import NUMDIFFTOOLS
from gradcheck.studies.peers.scipy_check_derivative import SCIPY_THREE_POINT
from gradcheck.studies.peers.scipy_check_grad import SCIPY_CHECK_GRAD
from gradcheck.studies.peers.torch_gradcheck import (
    TORCH_FAST,
    TORCH_SCALED,
    TORCH_SLOW,
    TORCH_STRICT,
)

ALL = (
    TORCH_SLOW,
    TORCH_STRICT,
    TORCH_SCALED,
    TORCH_FAST,
    JAX,
    AUTOGRAD,
    SCIPY_CHECK_GRAD,
    SCIPY_THREE_POINT,
    NUMDIFFTOOLS,
    JACOBI,
    COURSE_RULE,
)

PEERS: Mapping[str, Peer] = MappingProxyType({peer.name: peer for peer in ALL})


def available() -> dict[str, Peer]:
    """Return those whose library is installed.

    >>> "course rule" in available()
    True
    """
    return {name: peer for name, peer in PEERS.items() if peer.version}


def missing() -> dict[str, Peer]:
    """Return the others; `pip install 'gradcheck[peers]'` installs all their libraries."""
    return {name: peer for name, peer in PEERS.items() if not peer.version}
