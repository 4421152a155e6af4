"""Derivatives of a black box from its values alone, each with an error bound and a count.

`finite_difference` (with stencils, lines, points, noise, known_noise and kinks) takes differences
along axes, `directional` along directions, `locate` finds few wrong coordinates among many, and
`complex_step` needs no difference where f takes complex numbers.
"""
