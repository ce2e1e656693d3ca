"""Everything that a reconcile may use, built once at start and handed down: no module globals."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from operators.core.platform import Platform
from operators.pool.allocator import Allocator
from operators.runtime.cache import Cache
from operators.runtime.capabilities import Discovery
from operators.runtime.client import KubeClient
from operators.runtime.namesakes import Namesakes
from operators.runtime.publisher import Publisher
from operators.runtime.secrets import Secrets
from operators.runtime.signals import Signals


@dataclass(frozen=True, slots=True)
class Context:
    """See the module's text. `clock` gives Unix seconds."""

    client: KubeClient
    cache: Cache
    signals: Signals
    publisher: Publisher
    discovery: Discovery
    secrets: Secrets
    namesakes: Namesakes
    allocator: Allocator
    platform: Callable[[], Platform]
    clock: Callable[[], float] = time.time
    scaled_at: dict[str, float] = field(default_factory=dict)
    pool_since: dict[str, float] = field(default_factory=dict)
