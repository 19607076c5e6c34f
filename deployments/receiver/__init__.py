"""The webhook receiver: alerts of Alertmanager come in, runs of Prefect deployments go out.

`python -m deployments.receiver` serves it. A route is a file in `routes/`, named in `routes.ROUTERS`.
"""
