"""The backend ``dulwich``: pure Python, in processes of its own."""
