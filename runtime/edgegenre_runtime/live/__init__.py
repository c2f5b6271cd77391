"""Listening for days: microphone or pipe, queue, analysis, smoothing and the loop around them."""
