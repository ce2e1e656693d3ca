"""Commerce: the ledger, the committer that alone writes sales into it, and the HTTP interface."""
