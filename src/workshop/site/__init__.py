"""What writes the pages and files of the site that are made and committed."""
