"""A small drive to practise on, made without root and without any tool."""
