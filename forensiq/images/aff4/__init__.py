"""AFF4 images: reader and writer."""
