"""Corruptions of any image at five severities, under the names of Hendrycks and Dietterich (2019)."""

CORRUPTIONS: dict[str, type] = {}
