"""One function for each forensic step: start reading here."""
