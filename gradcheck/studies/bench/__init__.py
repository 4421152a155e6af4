"""Side by side with other people's checkers, in one run: `python -m gradcheck bench`.

`subject` is the network that all of them check, `contenders` the checks: `ours`, the `peers`, and
what a user writes `by_hand` (`layered_by_hand`). `trial` counts and times one of them, `power`
finds what it sees, `measure` takes turns among them, `worker` does so in a process with a given
number of threads, `run` puts the results on disk; `page` writes them up with `sentences`, and
`readme` the part that docs/measured.md has of it.
"""
