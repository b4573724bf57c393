"""Planted fakes and honest defences with known answers: what the auditor is examined on."""
