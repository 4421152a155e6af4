"""Studies: what the checks and backpropagation are worth and cost, measured and written down."""
