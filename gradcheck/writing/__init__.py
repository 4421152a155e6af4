"""The ways out: files that are whole or absent, text that is safe on a terminal, commands."""
