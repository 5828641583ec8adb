"""Making the service into files: a bundle, and a settings file with every option."""
