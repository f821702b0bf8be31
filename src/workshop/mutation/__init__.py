"""What changes code in every small way, and lists the changes that no page or no check notices."""
