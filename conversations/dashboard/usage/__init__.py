"""The review of token usage: what is asked for, its sums, and the figures, charts and tables that show them."""
