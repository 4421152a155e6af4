"""Random problems: how they are drawn, named by a token, written to a file and shrunk."""
