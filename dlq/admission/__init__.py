"""What stands between a request and its first move: pre-flight, plan, approval, budget; and who is called."""
