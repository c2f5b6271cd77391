"""The reports of an evaluation: text for the terminal, and one HTML file."""
