"""The closed loop: how long the next wave of a run may be, from what the consumers made of the last ones."""
