"""The audit held against modules of public packages: what it finds in them, and of what is put into them."""
