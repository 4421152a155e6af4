"""Names the mistake in a wrong backpropagation by the formula that explains its numbers.

`symbols` has the right equations, `formula` what a wrong one is, and `output_error`, `batch`,
`hidden_error`, `weight_gradient`, `bias_gradient` and `factors` have the wrong ones of each step,
`scale` those of the whole answer. `peel` finds the steps that are wrong, from the output down;
`blocks` describes what no formula explains; `explain` asks the engine about further problems and
puts it all into words.
"""
