"""The model of the world: pure, seeded, on a virtual clock. It knows nothing of accel-ci."""
