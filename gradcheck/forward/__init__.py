r"""The forward pass first: which loss an engine computes, where it is not the one that is meant.

Symbols as in `gradcheck.rounding`: layers l = 1..L, n_l units, m examples, u the unit roundoff;
p the outputs, Y the targets, C the loss that is meant, V another one, and for numbers that were
fitted: c a factor, lambda that of a term T.

A library of wrong forward passes is evaluated in float64, each with a bound of what rounding does
to it in the engine's dtype (values.py). One is named only if it gives the engine's loss within
rounding on *every* problem that was asked about: the one at hand, and random ones of several
shapes, batches and targets (probes.py). So a name is what the engine computes there, whatever its
code looks like. Numbers that are fitted, such as the weight of a penalty, must be the same ones
on all problems. Of several losses that fit the one with the fewest departures from what is meant is
told; where two stand equally near, none.
"""
