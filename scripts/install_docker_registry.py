"""Install Debian's docker-registry for the tests: `install_docker_registry.py TARGET`.

One that is installed already is linked. Else apt brings the package, in a folder of its own:
the system stays as it is, and nobody has to be root. Standard library only.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "docker-registry"
NAMES = (PACKAGE, "registry")  # as Debian calls the program, and as its makers do
PLACES = "/usr/local/bin:/usr/bin:/bin"


def main() -> None:
    """Put the program at the given path."""
    target = Path(sys.argv[1])
    target.unlink(missing_ok=True)
    for name in NAMES:
        if found := shutil.which(name) or shutil.which(name, path=PLACES):
            target.symlink_to(found)
            return
    if not shutil.which("apt-get"):
        sys.exit(f"The tests need a Docker registry: install {PACKAGE}, or put it on the PATH.")
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy2(download(Path(folder)), target)


def download(folder: Path) -> Path:
    """Bring the package with apt and unpack it; give the program."""
    for path in ("state/lists/partial", "cache/archives/partial"):
        (folder / path).mkdir(parents=True)
    options = (
        f"Dir::State={folder / 'state'}",
        "Dir::State::status=/var/lib/dpkg/status",
        f"Dir::Cache={folder / 'cache'}",
        "APT::Sandbox::User=",
    )
    apt = ("apt-get", "-qq", *(part for option in options for part in ("-o", option)))
    subprocess.run((*apt, "update"), check=True)
    subprocess.run((*apt, "download", PACKAGE), cwd=folder, check=True)
    [package] = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(("dpkg-deb", "-x", package, folder / "files"), check=True)
    return folder / "files" / "usr" / "bin" / PACKAGE


if __name__ == "__main__":
    main()
