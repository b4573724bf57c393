"""MDDA on real images (Wang et al. 2023): beside its rivals, taken apart, and before an adversary who knows it."""
