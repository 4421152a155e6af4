"""Patterns of wrong coordinates, and the causes that the numbers of any black box show."""
