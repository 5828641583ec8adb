"""The operations of a sandbox's service that are no procedures: files and the machine."""
