"""What runs in pods: one package per container, each started by `python -m workloads.<name>`."""
