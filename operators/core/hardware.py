"""What a hardware encoder needs of a pod: a device, a node that has one, and to be told to the transcoder."""

from typing import Any

ENCODER_LABEL = "haat.dev/encoder"
"""Label of nodes with such a device; its value is that of `HAAT_ENCODER`."""
_DEVICES = {"NVENC": "nvidia.com/gpu", "VAAPI": "gpu.intel.com/i915"}
"""Extended resources of the vendors' device plug-ins."""
_NAMES = ("CPU", *_DEVICES)


def environment(hardware: str) -> list[dict[str, Any]]:
    """`HAAT_ENCODER` (cpu, nvenc or vaapi); nothing while the transcoder may choose (Auto)."""
    return [{"name": "HAAT_ENCODER", "value": hardware.lower()}] if hardware in _NAMES else []


def devices(hardware: str) -> dict[str, str]:
    """What a container's limits need beside its memory."""
    return {_DEVICES[hardware]: "1"} if hardware in _DEVICES else {}


def node_selector(hardware: str) -> dict[str, str]:
    """Labels that the pod's node must have."""
    return {ENCODER_LABEL: hardware.lower()} if hardware in _DEVICES else {}
