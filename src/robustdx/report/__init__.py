"""What a run found, written down: tables and one self-contained page, from the records alone. No torch."""
