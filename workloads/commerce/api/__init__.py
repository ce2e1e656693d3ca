"""HTTP interface of commerce: thin handlers over the ledger's functions."""
