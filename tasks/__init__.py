"""The retriable steps that chapters are made of: one file a system that they touch."""
