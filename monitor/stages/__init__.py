"""The steps of one media item: one verb, one function, one file."""
