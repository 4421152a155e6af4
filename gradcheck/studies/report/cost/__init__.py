"""What one gradient costs: ways to take differences, regimes of N, gradient beside loss."""
