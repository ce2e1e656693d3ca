"""Pull: streams whose source is an address that ingest reads, instead of a host that publishes."""
