"""The controllers that a kube-controller-manager would run, one kind a module."""
