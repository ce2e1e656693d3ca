"""The platform configuration: what the operators need to know beyond the custom resources.

The chart writes it as one YAML file (ConfigMap `haat-platform`). Its parts carry the names of the further kinds that
may grow out of it: EncodingLadder, TranscoderPool, ModelDeployment, CDNProvider. Here an unknown field is an error,
because nobody prunes a ConfigMap and a typing mistake must not pass in silence.
"""

from operators.core.platform.capacity import ServiceCapacity, SharedService
from operators.core.platform.cdn import CdnProvider
from operators.core.platform.file import Images, Platform, PlatformError, RolloutPolicy, Sizes, parse
from operators.core.platform.ladder import Ladder, Rung
from operators.core.platform.model import ModelApp, Runtime
from operators.core.platform.part import Size
from operators.core.platform.pool import Buffer, EvictionSafe, Pool, PoolUpdate, PoolWindow, WorkerTemplate

__all__ = [
    "Buffer",
    "CdnProvider",
    "EvictionSafe",
    "Images",
    "Ladder",
    "ModelApp",
    "Platform",
    "PlatformError",
    "Pool",
    "PoolUpdate",
    "PoolWindow",
    "RolloutPolicy",
    "Rung",
    "Runtime",
    "ServiceCapacity",
    "SharedService",
    "Size",
    "Sizes",
    "WorkerTemplate",
    "parse",
]
