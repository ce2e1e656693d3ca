"""The custom resources of group haat.dev as Pydantic models: the one source of crds/ and of every reader in here."""

from operators.api.channel import Channel
from operators.api.flashsale import FlashSale
from operators.api.livestream import LiveStream

KINDS = (Channel, LiveStream, FlashSale)

__all__ = ["KINDS", "Channel", "FlashSale", "LiveStream"]
