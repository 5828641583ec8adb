"""Making the service into files, and its environment smaller; a settings file with every option."""
