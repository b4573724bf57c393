"""The loops that attacks share, each written once: climbing, coming nearer, asking."""
