"""`dlq up`: everything on one machine, its state in the home folder, its processes watched and stopped together."""
