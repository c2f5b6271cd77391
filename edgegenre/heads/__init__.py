"""Heads over the embeddings of a track's windows: what is trained, and the file that it is kept in.

The kinds and their arithmetic are those of :mod:`edgegenre_runtime.network.head`; here they are torch modules.
"""
