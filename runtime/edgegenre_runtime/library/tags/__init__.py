"""Genre tags in the files of a library: which words, written by whole copies, and taken back."""
