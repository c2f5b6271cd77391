"""Programs that run inside an emulated board; QEMU counts what lies between two marks."""
