"""The simulated world: clouds, machines and runners to run accel-ci in, many times. accel-ci never imports it."""
