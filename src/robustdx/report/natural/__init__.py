"""What happens to images without an adversary, in the report: curves, tables and sentences."""
