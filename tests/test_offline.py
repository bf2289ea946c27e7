"""The script for outsiders: one file that knows nothing of the ledger and says the same."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from signed_logs import (
    ENTRIES,
    SCRIPT,
    SIGNER,
    STRANGER,
    VKEY,
    growth_of,
    note_of,
    offline,
    proof_of,
)

from ledger.tlog.note import read_verifier_key, write_signer
from ledger.tlog.proof import encode_consistency, encode_proof
from ledger.tlog.tiles import Tile


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the script as an outsider does, in a process that finds no ledger."""
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *map(str, arguments)],
        capture_output=True, text=True, encoding="utf-8", **options,
    )


def test_script_needs_nothing_of_the_ledger() -> None:
    """The script imports the standard library and `cryptography`, and nothing else."""
    roots = set()
    for node in ast.walk(ast.parse(SCRIPT.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    assert roots - sys.stdlib_module_names == {"cryptography"}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with proofs, keys and heads."""
    texts = {
        "log.vkey": VKEY + "\n",
        "7.tlog-proof": encode_proof(proof_of(6, 11)),
        "grew": encode_consistency(growth_of(6, 11)),
        "6.checkpoint": note_of(6),
        "11.checkpoint": note_of(11),
        "forged": encode_proof(proof_of(6, 11)).replace("index 6", "index 5"),
        "stranger": note_of(11, STRANGER),
    }
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "entry").write_bytes(ENTRIES[5])
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUNS = (
    (("7.tlog-proof",), 0, "ok: position 7"),
    (("grew",), 0, "ok: example.org/ledger only grew from 6 to 11"),
    (("grew", "--against", "6.checkpoint"), 0, "ok"),
    (("grew", "--against", "11.checkpoint"), 0, "ok"),
    (("7.tlog-proof", "--against", "11.checkpoint"), 0, "ok"),
    (("7.tlog-proof", "--against", "6.checkpoint"), 4, "could not verify: from your head of 6"),
    (("7.tlog-proof", "--entry", "entry"), 1, "tampered"),
    (("7.tlog-proof", "--against", "stranger"), 3, "refused: the head is not signed"),
    (("forged",), 1, "tampered: the entry is not shown to stand at position 6"),
    (("6.checkpoint",), 3, "refused"),
    (("log.vkey",), 3, "refused"),
    (("no such file",), 4, "could not verify"),
    ((".",), 4, "could not verify: the export is not whole: checkpoint is missing"),
)


@pytest.mark.parametrize(("arguments", "code", "said"), RUNS)
@pytest.mark.usefixtures("files")
def test_script_says_what_it_found(arguments: tuple[str, ...], code: int, said: str) -> None:
    """The script ends with the verdict's exit code and one sentence about it."""
    done = run(*arguments, "--key", "log.vkey")
    assert done.returncode == code
    assert (done.stdout + done.stderr).startswith(said)
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("files")
def test_script_explains_itself() -> None:
    """The help says what is checked, what is needed and what the exit codes mean."""
    said = run("--help").stdout
    assert all(word in said for word in ("--key", "--against", "exit codes", "cryptography"))
    assert run("7.tlog-proof").returncode == 2


@pytest.mark.usefixtures("files")
def test_script_says_that_cryptography_is_missing() -> None:
    """Without `cryptography` the script names it, and verifies nothing."""
    program = (
        "import runpy, sys; sys.modules['cryptography'] = None\n"
        "import builtins; real = builtins.__import__\n"
        "def no(name, *rest):\n"
        "    if name.startswith('cryptography'): raise ModuleNotFoundError(name)\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = no\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert "pip install cryptography" in done.stderr


NO_KEYS = (
    "", "x", VKEY[:-1], VKEY + "A", VKEY.replace("example", "other"),
    VKEY.replace("+", " ", 1), VKEY.upper(),
    "example.org/ledger+00000000+" + VKEY.split("+", 2)[2],
)


@pytest.mark.parametrize("text", NO_KEYS)
def test_script_refuses_what_is_no_key(text: str) -> None:
    """A text that is not the one spelling of a key is refused."""
    with pytest.raises(offline.Verdict):
        offline.read_key(text)


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("spoil", [str, str.lower, lambda text: text[:-4], lambda text: text[12:]])
def test_script_shows_nothing_of_a_signing_key(
    tmp_path: Path, spoil: Callable[[str], str]
) -> None:
    """A signing key that is given by mistake, whole or damaged, is refused and not printed."""
    secret = spoil(write_signer(SIGNER))
    (tmp_path / "log.key").write_text(secret)
    for given in ("log.key", secret):
        done = run("7.tlog-proof", "--key", given)
        assert done.returncode == 3
        assert secret[-40:-8] not in done.stdout + done.stderr


@pytest.mark.parametrize("y", sorted(offline.SMALL_ORDER))
@pytest.mark.parametrize("sign", [0, 1])
def test_script_refuses_keys_that_anybody_signs_for(y: int, sign: int) -> None:
    """The script and the ledger both refuse a key of small order."""
    raw = b"\x01" + (y | sign << 255).to_bytes(32, "little")
    key_id = offline.hashlib.sha256(b"a\n" + raw).digest()[:4].hex()
    text = f"a+{key_id}+{offline.base64.b64encode(raw).decode()}"
    for read in (offline.read_key, read_verifier_key):
        with pytest.raises(Exception, match=r"order|spelling|point"):
            read(text)


@pytest.mark.parametrize("index", [0, 1, 999, 1000, 1234067, 999_999, 1_000_000, 10**9])
def test_script_finds_the_tiles(index: int) -> None:
    """The script and the ledger agree about where tiles stand."""
    for width in (1, 255, 256):
        assert offline.tile_path("3", index, width) == Tile(3, index, width).path


def test_script_knows_the_log_by_its_key() -> None:
    """The key that the script reads is the signer's."""
    assert offline.read_key(VKEY) == (SIGNER.name, SIGNER.key.key_id, SIGNER.key.public)
