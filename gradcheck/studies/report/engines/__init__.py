"""Engines side by side: `python -m gradcheck report --engine all`.

Each engine runs in a worker process of its own (`worker`), which does one job after the other
(`jobs`): agreement, consistency, one saturated neuron (`neuron`), the time of a gradient. `draw`
says which networks; `measure` gathers what came of an engine; `tables`, `pictures` and `page` set
it out, and `run` writes it, engine by engine. `verified` sets out the logs of full verifications.
"""
