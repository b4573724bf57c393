"""Our attacks and other people's, side by side in one run: `make bench`."""
