"""What a job is made of: the network, its calibration windows, the reference tracks, the golden PCM."""
