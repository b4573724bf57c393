"""Audit and harden diagnostic models for medical images."""
