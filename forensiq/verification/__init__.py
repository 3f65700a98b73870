"""Is an image still what was acquired, and if not, where not."""
