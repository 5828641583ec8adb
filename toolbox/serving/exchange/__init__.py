"""One request and its response: parsing the head, the WSGI environment, writing the response."""
