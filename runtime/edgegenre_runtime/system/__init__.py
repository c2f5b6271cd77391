"""The machine around the program: systemd and the doctor."""
