"""The domain of dlq-drain: dead letter queues, what lies in them, and how to empty them safely."""
