"""Source to image: plan, read, hash, encode, write, in bounded memory."""
