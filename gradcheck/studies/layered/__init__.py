"""Layered differences: central differences that compute only what a moved parameter changes."""
