"""From counted instructions to a lower bound for the processor, and to an estimate of time."""

from __future__ import annotations

from typing import Any

from edgegenre_bench.results.device_profiles import Device

__all__ = ["estimate", "limit"]


def limit(device: Device, macs: int, counted: int | None) -> dict[str, Any]:
    """Return the least instructions for a network, multiply-adds over those of the best one, and how near it is.

    Parameters
    ----------
    device
        Gives the multiply-adds of its best int8 instruction.
    macs
        Multiply-adds of a window.
    counted
        Instructions counted for it, None where the network was not run.
    """
    least = -(-macs // device.macs_per_instruction)
    return {
        "macs": macs,
        "macs_per_instruction": device.macs_per_instruction,
        "instructions": least,
        "counted_over_limit": None if counted is None else counted / least,
    }


def estimate(device: Device, window: float, stream_second: float, note: str) -> dict[str, Any]:
    """Return instructions ÷ (IPC × clock), with both stated.

    Parameters
    ----------
    device
        Gives IPC and clock.
    window, stream_second
        Instructions for a whole window, and for a second of audio listened to.
    note
        A remark on the estimate.
    """
    return {
        "instructions_per_cycle": device.instructions_per_cycle,
        "clock_mhz": device.clock_mhz,
        "window_ms": device.estimate_ms(window),
        "real_time_factor": device.estimate_ms(stream_second) / 1e3,
        "note": note,
    }
