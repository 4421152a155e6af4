"""Oracles say what a derivative is, each with an error bound and a count.

Those of a black box see forward passes alone: finite_difference (with stencils, lines, points,
noise, known_noise and kinks) and complex_step. Layered networks are differenced by reusing what a
perturbation cannot change (layered_difference, with layered_network, layered_rises, layered_bound
and layered_cost). The certified gradient of a problem comes from ball arithmetic (certified,
ball_network, balls, outer_products), with differences in balls as its witness (ball_differences).
"""
