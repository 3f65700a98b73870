"""Renders records for people and for other tools; sees only the model."""
