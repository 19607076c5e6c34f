"""The routes of the receiver: one file a router, each named here."""

from deployments.receiver.routes import alerts, health, incidents, metrics

ROUTERS = (alerts.router, health.router, incidents.router, metrics.router)
