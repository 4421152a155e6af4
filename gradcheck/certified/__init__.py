"""The exact gradient of a sigmoid network, certified by ball arithmetic or by dyadic numbers.

`gradient` is what engines are measured by (with ball_network, balls, outer_products);
`ball_differences` are differences in balls, its witness; `dyadic` is the lattice of problems whose
gradient every partial sum of an engine can hold.
"""
