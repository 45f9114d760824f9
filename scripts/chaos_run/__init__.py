"""The service under fire: what was promised of it, shown with real processes, real signals and a lying network."""
