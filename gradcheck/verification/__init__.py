"""The command `verify`: examines an engine on many problems, keeps a log, and says what it found.

The outputs (`text`, `junit`, `markdown`, `page`) are functions of a `summary` of the log, and of
nothing else.
"""
