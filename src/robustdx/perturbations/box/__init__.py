"""The worst image within plausible parameters: a natural adversary."""
