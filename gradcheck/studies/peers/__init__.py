"""Other people's gradient checkers, one file each, behind one contract (`base.Peer`).

They are what this project's own checks are measured against; none of them takes part in a verdict.
`registry.PEERS` has them all by name, `registry.available()` those whose library is installed.
"""
