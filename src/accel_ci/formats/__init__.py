"""From hostile bytes to results and safe text: pure functions with caps on everything."""
