"""What a claim's evidence comes to."""

from gradcheck.studies.report.textbook.claim import ruling


def ruled(evidence):
    """Return the ruling, and which findings hold."""
    return ruling(evidence), [bool(finding.holds) for finding in evidence.findings]
