"""What is on a medium: volumes, file systems, entries. Read-only, always."""
