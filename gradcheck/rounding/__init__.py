r"""How far rounding can take a right gradient, or loss, from the exact one: computed in advance.

A forward and a backward sweep of componentwise absolute values, in float64, bound the error of
every engine of a declared class of algorithms. Nothing is measured and nothing is tuned.

Symbols, for layers l = 1..L and m examples, which are rows:

    x, x^, x~        a number: exact; as the engine computes it; as the sweep computes it
    dx               certain bound of both |x^ - x| and |x~ - x|
    u, eta           unit roundoff and smallest subnormal number of the problem's dtype
    tiny, largest    its smallest normal and its largest number
    gamma_k          k u / (1 - k u), infinite for k u >= 1
    u_g, eta_g       the same two of the format that inputs of products are rounded to, or 0
    k_e              the error of exp in units of u
    W_l, b_l, X, Y   weights (n_l, n_{l-1}), biases, inputs, targets;  a_0 = X,  da_0 = 0
    z, a, s          pre-activation, sigma(z), sigma'(z);   M = m for `mean`, 1 for `sum`

**The sweep is a member of the class.** It computes x~ in float64 without cancellation, and its
unit roundoff is at most u: every bound that holds for the engine holds for it. Hence
|x| <= |x~| + dx and |x^| <= |x~| + 2 dx, and no exact value is needed.

The derivations stand with the code: products, sums and their rounding (bounded.py); sigmoid, slope
and residual (sigmoid.py); the residual of the clipped loss (clipped.py); both sweeps (gradient.py);
the loss (loss.py); products whose inputs are rounded to a shorter format (rounded_products.py);
products taken from the inputs up (underflow.py).

Sources: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 2.2, 3.1,
3.3; Higham and Mary (2019), SIAM J. Sci. Comput. 41. Not covered: arithmetic that flushes all
subnormal numbers to 0, products of Strassen's kind, functions less accurate than stated.
"""

from gradcheck.rounding.arithmetic import ARITHMETICS, REQUIREMENTS, Arithmetic, models_up_to
from gradcheck.rounding.gradient import Sweep, gradient_bound, gradient_deviation
from gradcheck.rounding.loss import loss_bound, loss_floor, may_lose_a_log, swept_loss_bound
from gradcheck.rounding.rounded_products import emulated_gradient
from gradcheck.rounding.underflow import underflow_from_below

__all__ = [
    "ARITHMETICS",
    "REQUIREMENTS",
    "Arithmetic",
    "Sweep",
    "emulated_gradient",
    "gradient_bound",
    "gradient_deviation",
    "loss_bound",
    "loss_floor",
    "may_lose_a_log",
    "models_up_to",
    "swept_loss_bound",
    "underflow_from_below",
]
