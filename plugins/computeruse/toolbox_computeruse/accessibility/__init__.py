"""The accessibility tree (AT-SPI)."""
