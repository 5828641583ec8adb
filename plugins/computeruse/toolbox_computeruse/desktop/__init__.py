"""The desktop's programs: started, supervised and stopped together."""
