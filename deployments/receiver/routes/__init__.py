"""The routes of the receiver: one file a router, each named here."""

from deployments.receiver.routes import alerts, health, incidents, metrics, slack

ROUTERS = (alerts.router, health.router, incidents.router, metrics.router, slack.router)
