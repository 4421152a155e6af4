"""One network of a million weights, and every way to check its gradient.

`plain_passes` takes one forward pass a weight; `ways` puts the layered differences, the certified
check and the screen along random signs beside it, each with the passes it takes, its seconds, the
smallest error it sees, and the planted error of `subject` that it has to name. `measure` gathers
them into a section, which `tables` sets out.
"""
