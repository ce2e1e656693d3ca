"""The shell around the planners: watches, work queue, apply, signals, leader election, metrics."""
