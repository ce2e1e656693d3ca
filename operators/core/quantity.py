"""CPU quantities of Kubernetes in thousandths of a core."""


def millicores(quantity: str) -> int:
    """`500m` is 500, `2` is 2000, `0.5` is 500; ValueError for anything else."""
    return int(quantity[:-1]) if quantity.endswith("m") else round(float(quantity) * 1000)
