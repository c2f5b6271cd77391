"""The inputs of a job: the network, its calibration windows, the reference tracks, the golden PCM."""
