"""The only code that workloads share: settings, stores, tokens, errors, telemetry."""
