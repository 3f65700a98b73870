"""How evidence is stored: one file or folder for each format."""
