"""Response curves: what an engine gives for one unit, as a function of its pre-activation z.

`curves` measures them, `intervals` says where they leave the bound of a rounding model and what the
engine gives there, which is true whatever the cause is. `measure` does both for all dtypes.
"""

from gradcheck.response.curve import Curve
from gradcheck.response.curves import curves
from gradcheck.response.intervals import Interval, intervals
from gradcheck.response.responses import Responses, measure

__all__ = ["Curve", "Interval", "Responses", "curves", "intervals", "measure"]
