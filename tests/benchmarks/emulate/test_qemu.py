"""The emulated board: what it needs, that its steps resume, and the aarch64 wheel in it, bit for bit."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_server import SoundServer, as_48_khz_stereo, check_counts, needed

from edgegenre.cli import main
from edgegenre.toy.dataset import render
from edgegenre_bench.emulate import arm64_userland as steps
from edgegenre_bench.emulate import frontend_instructions as instructions
from edgegenre_bench.emulate import instruction_counter as counter
from edgegenre_bench.emulate import qemu as emulate
from edgegenre_bench.emulate.guest.frontend import REGIONS
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.errors import DataError, UsageError
from edgegenre_runtime.frontend import normalize, released
from edgegenre_runtime.frontend import numpy_reference as mel

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("qemu-aarch64", "aarch64-linux-gnu-gcc", "apt-get", "dpkg-deb", "cc")
IN_GUEST = """
import json, sys
import numpy as np
from edgegenre_runtime import GenreClassifier
from edgegenre_runtime.frontend import active_implementation, log_mel, native, normalize, released
from edgegenre_runtime.audio.files import file_blocks

wav, pcm, out = sys.argv[1:]
tables = released("seed3s")
frames = log_mel(np.load(pcm), tables).frames_q9
window = normalize(frames[:, :128], tables)
classifier = GenreClassifier.load()
answer = classifier.predict_file(wav)
mine = classifier.tables
frames_q9 = log_mel(np.concatenate(list(file_blocks(wav, classifier.rate_hz))), mine).frames_q9
cells = [normalize(frames_q9[:, at : at + 128], mine).cells for at in range(0, frames_q9.shape[1] - 127, 32)]
np.savez(out, frames=frames, cells=window.cells, windows=cells, logits=[classifier.outputs(c) for c in cells])
facts = {"implementation": active_implementation(), "path": native.NativeMelStream(tables).path, "label": answer.label}
print(json.dumps({**facts, "interpreter": classifier.backend.name}))
"""


def test_a_missing_tool_is_named_with_its_package(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install qemu-user"):
        emulate.prepare(tmp_path / "cache")
    assert main(["bench", "instructions", "--cache", str(tmp_path / "cache")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_elsewhere_than_linux_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(UsageError, match="need Linux"):
        emulate.check_tools()


@pytest.fixture
def no_tools_needed(monkeypatch):
    monkeypatch.setattr(emulate, "check_tools", lambda *more: None)


def test_without_network_it_says_what_could_not_be_fetched(no_tools_needed, monkeypatch, tmp_path):
    (tmp_path / "apt-get").write_text("#!/bin/sh\necho 'E: Temporary failure resolving' >&2\nexit 100\n")
    (tmp_path / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DataError, match=r"arm64 packages cannot be fetched .* Temporary failure resolving"):
        emulate.prepare(tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.stamp"))


def test_a_step_that_is_done_is_not_done_again(no_tools_needed, monkeypatch, tmp_path):
    calls = []

    def call(command, what, **_):
        calls.append(command[0])
        if "install" in command and "--download-only" in command:
            (tmp_path / "apt" / "archives" / "python3.deb").touch()
        elif command[0] == "dpkg-deb":
            (Path(command[-1]) / "usr" / "bin").mkdir(parents=True)
            (Path(command[-1]) / "usr" / "bin" / "python3.11").touch()
        elif "pip" in command:
            if calls.count(sys.executable) == 1:
                raise DataError("no network")
            Path(command[command.index("--target") + 1]).mkdir()
        return ""

    monkeypatch.setattr(steps, "run_tool", call)
    monkeypatch.setattr(emulate, "run_tool", call)
    said = []
    with pytest.raises(DataError, match="no network"):
        emulate.prepare(tmp_path, said.append)
    assert calls == ["apt-get", "apt-get", "dpkg-deb", sys.executable]
    userland = emulate.prepare(tmp_path, said.append)
    assert calls[4] == sys.executable
    assert [line.split()[0] for line in said] == ["arm64", "unpacking", "aarch64", "aarch64", "first"]
    done = len(calls)
    assert emulate.prepare(tmp_path) == userland
    assert len(calls) == done
    assert (tmp_path / "cpu" / "cortex-a76" / "usr").resolve() == tmp_path / "root" / "usr"
    assert "asimddp" in (tmp_path / "cpu" / "cortex-a76" / "proc" / "cpuinfo").read_text()


def test_unknown_processors_are_refused(tmp_path):
    with pytest.raises(UsageError, match="cortex-a53, cortex-a72, cortex-a76"):
        emulate.run_python(emulate.Userland(tmp_path, tmp_path), "max", [])
    with pytest.raises(UsageError, match="max: allowed"):
        instructions.count_all(["max"], tmp_path)


def test_the_library_counted_is_compiled_as_the_wheels():
    pytest.importorskip("hatchling")
    found = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(found)
    found.loader.exec_module(hook)
    assert list(counter.LIBRARY_FLAGS) == hook.FLAGS
    assert hook.LIBRARY == counter.LIBRARY


def test_counts_are_between_marks_and_labelled():
    marks = "".join(f"{tag} {count}\n" for tag, count in enumerate((100, 110, 200, 1210, 2000, 5010, 6000, 8010)))
    assert counter.count_regions("0 7\n" + marks, 3) == [1000, 3000, 2000]
    rows = [instructions.InstructionCount("cortex-a72", name, (1000, 1010), 2.0) for name in REGIONS]
    table = instructions.format_instructions(rows)
    assert "Instructions on an emulated CPU" in table
    assert "1.0000% of 2" in table
    assert "ms" not in table
    assert json.loads(instructions.to_json(rows))["rows"][0]["per_second"] == 502.5


LOOP = """
#include <sys/syscall.h>
#include <unistd.h>
static void run(long n) {
    syscall(SYS_getpriority, 0x5157, 0);
    __asm__ volatile("1: subs %0, %0, #1\\n b.ne 1b" : "+r"(n) : : "cc");
    syscall(SYS_getpriority, 0x5157, 1);
}
int main(void) { run(1); run(1); run(100001); return 0; }
"""


@pytest.mark.slow
@pytest.mark.skipif(None in map(shutil.which, ("qemu-aarch64", "aarch64-linux-gnu-gcc", "cc")), reason="needs QEMU")
def test_the_counter_counts_a_loop_to_the_instruction(tmp_path):
    (tmp_path / "loop.c").write_text(LOOP)
    program = tmp_path / "loop"
    compiler = ["aarch64-linux-gnu-gcc", "-O1", "-fno-inline", "-static"]
    subprocess.run([*compiler, tmp_path / "loop.c", "-o", program], check=True)
    plugin = f"{counter.counter_plugin(tmp_path)},out={tmp_path / 'counts'}"
    subprocess.run(["qemu-aarch64", "-cpu", "cortex-a53", "-plugin", plugin, program], check=True)
    at = [int(line.split()[1]) for line in (tmp_path / "counts").read_text().splitlines()]
    assert (at[5] - at[4]) - (at[3] - at[2]) == 2 * 100_000


@pytest.fixture(scope="module")
def userland():
    for tool in TOOLS:
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    try:
        return emulate.prepare()
    except DataError as error:
        if "cannot be fetched" not in str(error):
            raise
        pytest.skip(f"needs the network: {error}")


@pytest.fixture(scope="module")
def device_site(userland, tmp_path_factory):
    """The aarch64 wheel of this tree, installed."""
    folder = tmp_path_factory.mktemp("aarch64")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    environment = {**os.environ, "EDGEGENRE_TARGET": "aarch64"}
    subprocess.run(command, check=True, capture_output=True, timeout=300, env=environment)
    (wheel,) = folder.glob("*aarch64.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder / "site"]
    only = ["--platform", "linux_aarch64", "--only-binary=:all:"]
    subprocess.run([*pip, *only, wheel], check=True, capture_output=True, timeout=300)
    return folder / "site"


@pytest.mark.slow
def test_the_aarch64_wheel_gives_the_bits_of_here(userland, device_site, tmp_path):
    tables, wav, pcm_file, out = released("seed3s"), tmp_path / "a.wav", tmp_path / "pcm.npy", tmp_path / "out.npz"
    soundfile.write(wav, render("jazz", 3, 20.0), 22050)
    rng = np.random.default_rng(5)
    noise = (rng.normal(size=70000) * np.geomspace(3, 20000, 70000)).clip(-32768, 32767).astype(np.int16)
    np.save(pcm_file, noise)
    classifier = GenreClassifier.load()
    label = classifier.predict_file(wav).label
    frames = mel.log_mel(noise, tables).frames_q9
    cells = normalize(frames[:, :128], tables).cells
    for cpu in emulate.CPUS:
        argv = ["-c", IN_GUEST, wav, pcm_file, out]
        facts = json.loads(emulate.run_python(userland, cpu, argv, path=[device_site]))
        assert (facts["implementation"], facts["path"], facts["label"]) == ("c", "neon", label)
        lanes = "neondot" if cpu == "cortex-a76" else "neon"
        assert facts["interpreter"] == f"edgegenre engine, {lanes}"
        with np.load(out) as there:
            assert np.array_equal(there["frames"], frames)
            assert np.array_equal(there["cells"], cells)
            assert len(there["windows"]) >= 4
            here = np.stack([classifier.outputs(window) for window in there["windows"]])
            assert np.array_equal(there["logits"], here)
    assert classifier.backend.name.startswith("edgegenre engine, ")


LISTENING = """
import os, sys, threading, time
from edgegenre_runtime.run import main

def end_on_request():
    while not os.path.exists(sys.argv[1] + ".stop"):
        time.sleep(0.1)
    os.kill(os.getpid(), 15)

threading.Thread(target=end_on_request, daemon=True).start()
sys.exit(main(["--mic", "vmic", "--every", "1", "--log", sys.argv[1]]))
"""


def log_records(path):
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.slow
@pytest.mark.shared
def test_an_emulated_pi_hears_the_genre_of_the_file_and_survives_three_disconnections(
    userland, device_site, shared_dir, tmp_path
):
    """The two end-to-end tests of test_microphone, on aarch64."""
    needed()
    source, log = shared_dir / "data" / "gtzan" / "clips" / "reggae.00000.flac", tmp_path / "genre.jsonl"
    clip = as_48_khz_stereo(tmp_path / "clip.wav", source, seconds=13)

    def wait_for(found, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while not found(log_records(log)):
            assert guest.is_alive(), "the guest has ended"
            assert time.monotonic() < deadline, log_records(log)[-3:]
            time.sleep(0.1)

    def count(records, event):
        return sum(record.get("event") == event for record in records)

    server = SoundServer()
    environment = {name: server.environment[name] for name in ("HOME", "XDG_RUNTIME_DIR")}
    guest = threading.Thread(
        target=emulate.run_python,
        args=(userland, "cortex-a72", ["-c", LISTENING, log]),
        kwargs={"path": [device_site], "environment": environment, "timeout_s": 240},
    )
    try:
        server.start()
        guest.start()
        wait_for(lambda records: any(record["kind"] == "result" for record in records))
        server.play(clip).wait()
        audible = [record for record in log_records(log) if record.get("level_dbfs", -99) > -60]
        assert audible[-1]["label"] == GenreClassifier.load().predict_file(source).label
        assert sum(record.get("dropped_samples", 0) for record in log_records(log)) == 0
        for cycle in range(1, 4):
            n_before = len(log_records(log))
            wait_for(lambda records, n=n_before: any(record["kind"] == "result" for record in records[n:]))
            server.kill()
            wait_for(lambda records, n=cycle: count(records, "lost") == n)
            server.start()
            back = time.monotonic()
            wait_for(lambda records, n=cycle: count(records, "live") == n + 1)
            assert time.monotonic() - back < 5
        n_before = len(log_records(log))
        wait_for(lambda records: sum(record["kind"] == "result" for record in records[n_before:]) >= 2)
    finally:
        log.with_name(log.name + ".stop").touch()
        if guest.ident is not None:
            guest.join(30)
        server.close()
    check_counts(log_records(log))


@pytest.mark.slow
def test_counts_repeat_and_c_needs_the_fewest(userland):
    rows = instructions.count_all(["cortex-a72"], userland.cache)
    assert [row.pipeline for row in rows] == ["C implementation (neon)", "NumPy reference", "scipy (float32)"]
    assert max(row.spread for row in rows) < 0.001
    assert rows[0].per_second == min(row.per_second for row in rows)
