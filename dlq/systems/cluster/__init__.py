"""Kubernetes: the state and history of worker deployments, their logs, and scaling. Needs DLQ_KUBECONFIG or a pod."""
