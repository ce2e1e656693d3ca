"""SRT ingest: a listener on one UDP port, each publisher with its stream's key as passphrase."""
