"""Forms of a tree: an archive, a program that unpacks itself, a package of Debian."""
