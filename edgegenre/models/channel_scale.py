"""A factor and a term for each channel."""

from __future__ import annotations

from torch import nn

__all__ = ["ChannelScale"]


class ChannelScale(nn.Conv2d):
    """A batch norm whose statistics are fixed, as a convolution of one weight a channel.

    Behind a ReLU no convolution takes in a batch norm, and converters make four int8 operators of it, which all round.
    This is one.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__(n_channels, n_channels, 1, groups=n_channels)
