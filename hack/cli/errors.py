"""A failure that a person can mend: one sentence, with the fix."""


class UserError(Exception):
    """Shown without a traceback; the process ends with `code`."""

    def __init__(self, message: str, *, code: int = 1) -> None:
        super().__init__(message)
        self.code = code
