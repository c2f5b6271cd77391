"""Results of benches that several tests share."""


def emulated_like(measured):
    """Return a result of kind ``emulated`` with round figures, of the bundle that a measured one is of."""
    kept = ("format", "format_version", "created_at", "command", "bundle", "golden")
    peers = [
        {"name": "edgegenre, int8", "mel": 1e6, "network": 1e7, "window": 1.1e7, "audio_s": 9.0},
        {"name": "librosa", "mel": 1e7, "network": 1e8, "window": 1.1e8, "audio_s": 9.0},
    ]
    return {key: measured[key] for key in kept} | {
        "kind": "emulated",
        "device": "rpi4",
        "emulator": {"program": "qemu-aarch64 7.2", "cpu": "cortex-a72", "note": "", "host": "x86_64"},
        "parity": {
            "windows": 200,
            "clips": 10,
            "music": "shared clips",
            "frontend_differs": 0,
            "network_max_lsb": 0,
            "top1_differs": 0,
            "has_network": True,
        },
        "counts": [
            {"stage": stage, "instructions": n, "spread": 0.0, "runs": 2}
            for stage, n in (
                ("mel", 10**6),
                ("network", 10**7),
                ("end_to_end", 11 * 10**6),
                ("stream_second", 10**6),
                ("network_litert", 2 * 10**7),
            )
        ],
        "peers_instructions": peers,
        "limit": {"macs": 8 * 10**6, "macs_per_instruction": 8, "instructions": 10**6, "counted_over_limit": 10.0},
        "estimate": {
            "instructions_per_cycle": 1.2,
            "clock_mhz": 1800.0,
            "window_ms": 5.1,
            "real_time_factor": 0.2,
            "note": "an estimate",
        },
    }
