"""What people are shown of a queue and its runs: status, samples, tables, plots, the story of a run."""
