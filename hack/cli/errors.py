"""Failures that a person can mend: one sentence, with the fix, and an exit code that scripts can read."""

OK, FAILED, USAGE, NOT_FOUND, TIMED_OUT = 0, 1, 2, 3, 4


class UserError(Exception):
    """Shown without a traceback; the process ends with `code`."""

    def __init__(self, message: str, *, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


class Missing(UserError):
    """What was asked for is not there."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=NOT_FOUND)


class TimedOut(UserError):
    """What was waited for did not come."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=TIMED_OUT)
