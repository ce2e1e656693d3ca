"""ConfigMap `<name>-sale-<generation>`: sale.json, the same text that the sale service reads from Redis."""

import json
from typing import Any

from operators.api import FlashSale
from operators.api.base import seconds
from operators.api.sale_terms import AdmissionMode
from operators.core.children import child
from operators.core.plan import Manifest
from operators.core.times import epoch


def build_config_map(sale: FlashSale, text: str) -> Manifest:
    """The ConfigMap; immutable, because a generation of a sale never says two things."""
    return child(
        sale,
        api_version="v1",
        kind="ConfigMap",
        name=f"{sale.metadata.name}-sale-{sale.metadata.generation}",
        component="sale-config",
        immutable=True,
        data={"sale.json": text},
    )


def document(sale: FlashSale, stream: str) -> str:
    """sale.json as the contracts page describes it; the same for the whole life of a generation."""
    spec = sale.spec
    items = [item.model_dump(exclude_none=True) for item in spec.items]
    body: dict[str, Any] = {
        "uid": sale.metadata.uid,
        "namespace": sale.metadata.namespace,
        "name": sale.metadata.name,
        "generation": sale.metadata.generation,
        "stream": stream,
        "state": spec.state.value,
        "starts_at_ms": int(epoch(spec.starts_at) * 1000),
        "ends_at_ms": int(epoch(spec.ends_at) * 1000),
        "display_timezone": spec.display_timezone,
        "hold_seconds": seconds(spec.reservation.hold),
        "grace_seconds": seconds(spec.settlement.grace),
        "announce_before_seconds": sorted((seconds(item) for item in spec.countdown.announce_before), reverse=True),
        "admission": {
            "mode": spec.admission.mode.value,
            "rate_per_second": spec.admission.rate_per_second,
            "queue_capacity": spec.admission.queue_capacity,
            "token_ttl_seconds": seconds(spec.admission.token_ttl),
        },
        "eligibility": {
            "segments": sorted(spec.eligibility.segments),
            "countries": sorted(spec.eligibility.countries),
            "min_account_age_seconds": seconds(spec.eligibility.min_account_age),
        },
        "fraud": {
            "model": spec.fraud.model_ref.name if spec.fraud.model_ref else "",
            "mode": spec.fraud.mode.value,
            "timeout_ms": spec.fraud.timeout_millis,
            "on_timeout": spec.fraud.on_timeout.value,
        },
        "pricing": {
            "model": spec.pricing.model_ref.name if spec.pricing.model_ref else "",
            "floor_percent": spec.pricing.floor_percent,
            "ceiling_percent": spec.pricing.ceiling_percent,
            "min_interval_seconds": seconds(spec.pricing.min_interval),
        },
        "items": items,
    }
    return json.dumps(body, sort_keys=True)


def published(text: str, *, unprepared: bool) -> str:
    """What Redis gets: sale.json, with a queue in front when capacity did not stand in time and nobody wanted one."""
    body = json.loads(text)
    if unprepared and body["admission"]["mode"] == AdmissionMode.OPEN:
        body["admission"]["mode"] = AdmissionMode.QUEUE.value
    return json.dumps(body, sort_keys=True)
