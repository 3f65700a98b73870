"""File systems that The Sleuth Kit does not read, read by our own code, inside the worker."""
