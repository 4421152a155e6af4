"""Engines: whatever computes a loss and its gradient for a problem.

`base` is the contract, `registry` finds an engine by name, and each adapter has a file.
"""
