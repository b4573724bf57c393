"""Detectors of adversarial images put to the test, also by an adversary who knows them."""
