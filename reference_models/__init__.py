"""Reference models: what a right gradient is, in numpy alone.

activations           the sigmoid, its derivative and its integral, without lost digits
losses                cross-entropy and quadratic loss as (value, residual) pairs
logistic_regression   the textbook form, in vectors
sigmoid_network       the multi-layer network, vectorised
chain_rule            the same network neuron by neuron: the second, independent derivation
training              gradient descent, on the whole set and in batches
datasets              breast cancer and optical digits, shipped with the package
node, gates           a gate of a computational circuit, and the table of gates
circuit               the circuit: forward, symbol-to-number and symbol-to-symbol derivatives
circuit_models        logistic regression and the network written as circuits
higher_derivatives    Hessians and Hessian-vector products, as circuits
drawing               a circuit printed with values and gradients
counting              counts multiplications
paths                 backprop as a sum over all paths
products, memory      products of matrices of any shape, and where arrays start
edges                 what the models demand of their arguments

Each is a module to import by name: `from reference_models import sigmoid_network`.
"""

from reference_models import activations as activations
from reference_models import chain_rule as chain_rule
from reference_models import circuit as circuit
from reference_models import circuit_models as circuit_models
from reference_models import counting as counting
from reference_models import datasets as datasets
from reference_models import drawing as drawing
from reference_models import gates as gates
from reference_models import higher_derivatives as higher_derivatives
from reference_models import logistic_regression as logistic_regression
from reference_models import losses as losses
from reference_models import memory as memory
from reference_models import node as node
from reference_models import paths as paths
from reference_models import products as products
from reference_models import sigmoid_network as sigmoid_network
from reference_models import training as training
