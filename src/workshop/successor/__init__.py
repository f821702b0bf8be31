"""What builds the site with Zensical, the successor of MkDocs and of its theme, and says what that loses."""
