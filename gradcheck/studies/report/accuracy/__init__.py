"""Agreement: is the gradient that of the loss which was meant, and what would have been seen?

`errors` holds engines against the exact gradient over random problems; `right_engines` seeks a
right engine that is accused; `planting` plants small errors; `naming` asks which class explains
engines of wider classes, and the wrong ones of `mistakes`. `measure` gathers them into a section,
which `tables` sets out.
"""
