"""What the attacks that learn share: what they are taught, the networks that paint, and their file of weights."""
