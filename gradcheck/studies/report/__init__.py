"""The comparison report: backpropagation against finite differences, measured and written down.

`run` writes it; each section has a file that measures it and returns plain numbers; `claims` says
what they show; `tables`, `figures` and `render` only set out what `report.json` holds.
"""
