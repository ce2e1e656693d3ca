"""The platform's media time: one clock for every rendition, every transcoder and every viewer."""

from typing import Final

MEDIA_EPOCH_SECONDS: Final = 1_735_689_600
"""2025-01-01T00:00:00Z. Media time is wall-clock time since then."""
