"""What may be wrong with a data set, a file a kind of check; arrays and looks in, findings out."""

from kizu.checks._finding import SEVERITIES, Finding, Severity, Suspect
from kizu.checks.looks import Look, look

__all__ = ["SEVERITIES", "Finding", "Look", "Severity", "Suspect", "look"]
