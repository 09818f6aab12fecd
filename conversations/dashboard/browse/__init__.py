"""The list of conversations: its address, filters, chips, facets, histogram and marked hits."""
