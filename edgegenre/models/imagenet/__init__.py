"""Networks that others trained on pictures, fed with a window as a gray one."""
