"""Whether a loop should go on.

A cancellation that arrives together with a time-out inside a library can be swallowed there; a loop that asks before
each round ends all the same instead of living for ever.
"""

import asyncio


def going_on() -> bool:
    """False once the current task has been asked to end."""
    task = asyncio.current_task()
    return task is None or not task.cancelling()
