"""Reconcile of the models of one namespace."""

from operators.core.diff import is_applied, with_hash
from operators.core.plan import Manifest
from operators.models import plan as models
from operators.runtime.context import Context
from operators.runtime.executor import MANAGER


async def reconcile(context: Context, namespace: str) -> float | None:
    """Bring the namespace's RayService to what its streams need; None, or seconds until the next look."""
    if not (await context.discovery.current()).ray:
        return None
    channel_models = {
        channel.metadata.name: {use.model_ref.name for use in channel.spec.models}
        for channel in context.cache.channels(namespace)
    }
    using = {name for name, found in channel_models.items() if found}

    def uses_models(stream: Manifest) -> bool:
        return bool(stream["spec"].get("models")) or stream["spec"]["channel"]["name"] in using

    wanted = models.wanted_models(context.cache.streams(namespace, that=uses_models), channel_models)
    manifest = models.ray_service(namespace, wanted, context.platform())
    live = await context.client.get(models.reference(namespace))
    if manifest is None:
        ours = live is not None and live["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == MANAGER
        if ours:
            await context.client.delete(models.reference(namespace))
        return None
    if not is_applied(with_hash(manifest), live):
        await context.client.apply(with_hash(manifest), manager=MANAGER, force=True)
    return None
