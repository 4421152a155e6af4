"""What is said of a gradient: comparisons, kinds, reasons, verdicts and their words."""
