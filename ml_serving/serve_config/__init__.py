"""`python -m ml_serving.serve_config FILE`: one pod that serves what a serveConfigV2 document asks for.

KubeRay does this for a cluster of its own; here a pod starts a Ray of one node, applies the document, follows its
changes, and takes every process that Ray started with it when it goes.
"""
