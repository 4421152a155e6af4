"""Oracles say what a derivative is, each with an error bound and a count.

Those of a black box see forward passes alone: finite_difference (with stencils, lines, points,
noise and kinks) and complex_step. The certified gradient of a problem comes from ball arithmetic
(certified, ball_network, balls), with differences in balls as its witness (ball_differences).
"""
