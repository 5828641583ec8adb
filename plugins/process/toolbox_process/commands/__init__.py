"""One-shot commands and programs."""
