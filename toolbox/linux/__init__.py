"""Interfaces of the Linux kernel: /proc, control groups, clocks, memory."""
