"""Viewers of this product also looked at: one deployment that counts events and answers from the counts.

The features are counted in Redis by whichever replica reads an event, and read there by each answer, so an event
changes the next answer of every replica. See recommendations.md for what the model can and cannot do.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ml_serving.apps.common import BuildArgs, ModelApp, deployment
from ml_serving.apps.ranking import Reason, Rule, related
from ml_serving.features.definitions import CoView, day_of
from ml_serving.features.events import EventFeed
from ml_serving.features.store import CoViewStore
from workloads.common.problem import Problem
from workloads.common.redis import connect
from workloads.common.settings import Settings

READ_SECONDS = 0.2
FEED_SECONDS = 5.0
MAX_LIMIT = 50

ITEMS = Counter("haat_ml_recommended_items_total", "Products answered, by reason", ["reason"])
EMPTY = Counter("haat_ml_recommendations_empty_total", "Answers without a product: nothing is known of the stream")

logger = logging.getLogger(__name__)


class RecommendationRequest(BaseModel):
    """A viewer of `stream` looks at `sku` (empty: at nothing yet)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    stream: str = Field(pattern=r"^[a-z0-9-]{1,63}/[a-z0-9.-]{1,253}$")
    sku: Annotated[str, StringConstraints(max_length=64)] = ""
    limit: int = Field(4, ge=1, le=MAX_LIMIT)


class RecommendedItem(BaseModel):
    """One product and why it is shown."""

    sku: str
    score: float
    reason: Reason


class RecommendationResponse(BaseModel):
    """Best first; empty when nothing is known, so that the caller falls back."""

    items: list[RecommendedItem]
    model: str


class Tuning(BaseModel):
    """`user_config`: what may change without a restart."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    half_life_days: float = Field(3.0, gt=0, le=365)
    shrinkage: float = Field(1.0, ge=0, le=1000)
    popular: bool = True


class Recommendations(ModelApp):
    """The model of one replica."""

    name = "co-view"

    def __init__(
        self, redis_url: str = "", definition: CoView | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._redis_url = redis_url
        self._definition = definition or CoView()
        self._clock = clock
        self._rule = Rule()
        self._clients: list[Redis] = []
        self._store: CoViewStore | None = None

    async def load(self) -> None:
        """Connect and start to follow the events; Redis may come later."""
        url = self._redis_url or Settings().redis_url
        # The caller waits 300 ms: an answer that needs a retry would come too late.
        reader = connect(url, retries=0, timeout_seconds=READ_SECONDS)
        writer = connect(url, timeout_seconds=FEED_SECONDS)
        self._clients = [reader, writer]
        self._store = CoViewStore(reader, self._definition)
        feed = EventFeed(writer, CoViewStore(writer, self._definition), consumer=uuid.uuid4().hex, clock=self._clock)
        self.background(asyncio.create_task(feed.run(), name="event feed"))

    async def warm_up(self) -> None:
        """Open the reading connection with an answer about nothing."""
        try:
            await self.recommend(RecommendationRequest(stream="warm/up"))
        except Problem as error:
            logger.warning("started without Redis: %s", error)

    async def close(self) -> None:
        """Close both connections."""
        for client in self._clients:
            await client.aclose()

    async def reason(self) -> str | None:
        """Redis is all that an answer needs."""
        try:
            await self._reading.ping()
        except (RedisError, OSError) as error:
            return f"redis: {type(error).__name__}"
        return None

    def reconfigure(self, user_config: Mapping[str, Any]) -> None:
        """Tune the ranking; ValueError names the field and leaves the rule as it is."""
        tuning = Tuning.model_validate(dict(user_config or {}))
        self._rule = Rule(**tuning.model_dump())

    async def recommend(self, request: RecommendationRequest) -> RecommendationResponse:
        """Rank from the counts of now. Problem 503 when they cannot be read in time."""
        today = day_of(int(self._clock() * 1000))
        try:
            days = await self._reading.days(request.stream, request.sku, today=today)
        except (RedisError, OSError) as error:
            raise Problem(503, "features_away", "The features cannot be read now.", retry_after_seconds=1) from error
        ranked = related(request.sku, days, today=today, limit=request.limit, rule=self._rule)
        for each in ranked:
            ITEMS.labels(each.reason.value).inc()
        if not ranked:
            EMPTY.inc()
        return RecommendationResponse(
            items=[RecommendedItem(sku=each.sku, score=round(each.score, 6), reason=each.reason) for each in ranked],
            model=f"{self.name}/{self._definition.version}",
        )

    def routes(self, app: FastAPI) -> None:
        """POST on the route prefix itself."""

        @app.post("/")
        async def recommend(body: RecommendationRequest) -> RecommendationResponse:
            return await self.recommend(body)

    @property
    def _reading(self) -> CoViewStore:
        if self._store is None:
            raise Problem(503, "starting", "The model is not loaded yet.", retry_after_seconds=1)
        return self._store


def build(args: dict[str, Any]) -> Any:
    """The Ray Serve application. Raises ValueError (pydantic) naming a wrong argument."""
    checked = BuildArgs.model_validate(args)
    Tuning.model_validate(checked.user_config)
    return deployment(Recommendations, checked).bind()
