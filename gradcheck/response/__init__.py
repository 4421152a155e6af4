"""Response curves: what an engine gives for one unit, as a function of its pre-activation z.

`curves` measures them, `intervals` says where they leave the bound of a rounding model and what the
engine gives there, which is true whatever the cause is.
"""

from gradcheck.response.curve import Curve
from gradcheck.response.curves import curves

__all__ = ["Curve", "curves"]
