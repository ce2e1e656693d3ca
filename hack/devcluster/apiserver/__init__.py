"""The Kubernetes API server of devcluster: one asyncio process, objects in memory, a journal on disk.

Layers, lowest first: `schema`, `patches`, `fieldsets`, `ssa`, `structural`, `cel`, `printing` are pure; `store` and
`journal` hold state; `rest` joins them into the verbs of the API; `http` is the thin shell.
"""
