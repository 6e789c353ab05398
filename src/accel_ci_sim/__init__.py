"""The simulated world: clouds, machines and CI runners, to run accel-ci in millions of times. accel-ci never imports it."""
