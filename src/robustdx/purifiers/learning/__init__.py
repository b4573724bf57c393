"""What the purifiers that learn share: their network, how it is taught, and their file of weights."""
