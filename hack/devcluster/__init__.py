"""An embedded Kubernetes for development and tests: API server, controllers, node agent, proxies."""
