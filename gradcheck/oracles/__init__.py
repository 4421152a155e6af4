"""Oracles estimate derivatives from forward passes alone, each with an error bound and a count."""
