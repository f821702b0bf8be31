"""The harness: how pages are read, run and counted, so that nothing on the site can go unexecuted."""
