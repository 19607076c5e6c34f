"""The systems around a queue: Prometheus, Kubernetes, the workers' API, logs and the repository."""
