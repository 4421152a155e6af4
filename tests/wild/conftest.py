"""Which files of this folder hold no tests: they need libraries that are not always there."""

collect_ignore_glob = ["*_samples.py", "table.py"]
