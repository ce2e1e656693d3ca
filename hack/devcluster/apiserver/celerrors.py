"""What can be wrong with a CEL expression; apart from the evaluator, whose 30 MiB are loaded only where rules exist."""

from __future__ import annotations


class RuleError(ValueError):
    """An expression that does not compile; the text is the compiler's."""


class EvalError(ValueError):
    """An expression that failed on its data."""


class OverBudget(EvalError):
    """An expression that ran longer than the evaluator allows."""
