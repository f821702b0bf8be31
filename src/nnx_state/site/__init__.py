"""What the pages of the site need besides the lessons."""
