"""accel-ci's ports straight over the model of the world, its real use cases on top, and the judge of what they did."""
