"""The bundle as people get it: model card, snippets, C sources, publication."""
