"""The bundle and its int8 network: read, run, and verified on this machine."""
