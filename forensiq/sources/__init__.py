"""What evidence is read from: one file for each kind."""
