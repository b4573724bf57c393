"""What happens to images without an adversary, as cells of the same audit: perturbations, sequences, worst cases, analyses."""
