"""Which options belong together: one that would be ignored is refused."""

import pytest

from edgegenre_runtime.command_line import Mode, argument_parser, mode_of
from edgegenre_runtime.errors import UsageError


def mode(line):
    parser = argument_parser()
    return mode_of(parser.parse_args(line.split()), parser)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a.wav b/", Mode.FILES),
        ("a.wav --json --bundle b --threads 2", Mode.FILES),
        ("- --rate 48000 --channels 2 --format f32le", Mode.FILES),
        ("a.wav - --rate 48000", Mode.FILES),
        ("- --every 1 --rate 48000 --log x --http :1 --mqtt mqtt://h --save-clips d", Mode.PIPE),
        ("- --smooth 0", Mode.PIPE),
        ("--mic", Mode.MICROPHONE),
        ("--mic USB --no-retry --every 2 --install-service -", Mode.MICROPHONE),
        ("--doctor --bundle b --threads 2 --debug", Mode.DOCTOR),
        ("--list-mics", Mode.LIST),
    ],
)
def test_what_is_asked_for(line, expected):
    assert mode(line) == expected


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a.wav --rate 48000", "--rate is for raw PCM"),
        ("a.wav --channels 1", "--channels is for raw PCM"),
        ("a.wav --format s16le", "--format is for raw PCM"),
        ("--mic --rate 48000", "--rate has no effect with listening to a microphone"),
        ("--doctor --json", "--json has no effect with --doctor"),
        ("--doctor --mic", "--mic has no effect with --doctor"),
        ("--doctor a.wav", "--doctor takes no FILE, but a.wav was given"),
        ("--list-mics --json", "--json has no effect with --list-mics"),
        ("--list-mics --doctor", "--doctor has no effect with --list-mics"),
        ("--list-mics a.wav", "--list-mics takes no FILE"),
        ("--mic USB a.wav", "--mic takes no FILE"),
        ("a.wav --every 1", "--every is for listening"),
        ("a.wav --log x", "--log is for listening"),
        ("a.wav - --http :1", "--http is for listening"),
        ("a.wav --no-retry", "--no-retry is for listening"),
        ("- --every 1 --no-retry", "--no-retry has no effect with listening to a pipe"),
        ("a.wav --install-service -", "add --mic"),
        ("- --every 1 --install-service -", "add --mic"),
        ("--doctor --install-service -", "add --mic"),
    ],
)
def test_no_option_is_ignored(line, says):
    with pytest.raises(UsageError, match=says):
        mode(line)


def test_every_option_belongs_somewhere():
    """A new option that no mode takes could never be used."""
    from edgegenre_runtime.command_line import _OPTIONS

    names = {action.dest for action in argument_parser()._actions} - {"help", "version", "inputs", "debug"}
    assert names == set.union(*_OPTIONS.values())


@pytest.mark.parametrize("word", ["--install", "--list-m", "--doc", "--chan=2"])
def test_options_are_not_abbreviated(word, capsys):
    with pytest.raises(SystemExit, match="2"):
        argument_parser().parse_args(["--mic", word])
    said = capsys.readouterr().err
    assert f"unrecognized arguments: {word}; edgegenre-run --help lists what there is" in said
    assert said.count("\n") == 1
