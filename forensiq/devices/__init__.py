"""What the Linux kernel says about block devices, and nothing of their content."""
