"""What the pages of the site need beside the lessons."""
