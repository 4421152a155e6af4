"""Side by side with other people's checkers, in one run: `python -m gradcheck bench`.

`subject` is the network that all of them check, `ours` and `peers` the checks, `trial` counts and
times one of them, `power` finds what it sees, `measure` takes turns among them, `worker` does so
in a process with a given number of threads, `run` puts the results on disk, `page` writes them up.
"""
