"""What is told of the queues each night and each week, from what they were seen to be. No report changes a queue."""
