"""The tools of each group, as tables of rows, and the functions that run them."""
