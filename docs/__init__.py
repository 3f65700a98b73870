"""The documents of this folder that are made out of the program."""
