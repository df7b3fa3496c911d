"""Build container images with buildah or docker: `python3 scripts/build_images.py cpu|gpu`.

The image of gateway and services, and that of the workers for an engine. What is not said here
goes on to the builder: a secret `pip` is a pip.conf for the build alone, build-arg MORE_PACKAGES
names packages that the workers are to have as well.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTAINERFILE = ROOT / "k8s" / "images" / "Containerfile"
IGNORED = CONTAINERFILE.with_name("Containerfile.dockerignore")  # docker finds it by its name


def main() -> None:
    """Build both images, or fail as the builder does."""
    options, more = parse()
    builder = find_builder()
    targets = ["paddock", f"paddock-worker-{options.engine}"]
    values = {"SOURCE_DATE_EPOCH": epoch()}
    if options.base:
        values["BASE"] = options.base
    arguments = [f"--build-arg={key}={value}" for key, value in values.items()]
    arguments += [f"--label=org.opencontainers.image.{label}" for label in labels()]
    for target in targets[:1] if options.services_only else targets:
        name = f"{options.registry}/{target}:{options.tag}"
        print(f"Building {name}", flush=True)
        command = [*builder, f"--target={target}", f"--tag={name}", *arguments, *more, str(ROOT)]
        if status := subprocess.run(command).returncode:
            sys.exit(status)


def parse() -> tuple[argparse.Namespace, list[str]]:
    """Read the command line: our options, and the builder's."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("engine", choices=("cpu", "gpu"))
    parser.add_argument("--registry", default="localhost", help="what names begin with")
    parser.add_argument("--tag", default=version(), help="default: the version")
    parser.add_argument("--base", help="default: Debian's slim image with Python")
    parser.add_argument("--services-only", action="store_true", help="no image for workers")
    return parser.parse_known_args()


def find_builder() -> list[str]:
    """Name the builder that is there, with what it has to be told in its own words."""
    file = f"--file={CONTAINERFILE}"
    if shutil.which("buildah"):
        same_times = f"--timestamp={epoch()}"
        return ["buildah", "build", "--layers", same_times, f"--ignorefile={IGNORED}", file]
    if shutil.which("docker"):
        return ["docker", "build", file]
    sys.exit("Images are built with buildah or docker, and neither is here.")


def labels() -> list[str]:
    """Say what an image is made of: see https://specs.opencontainers.org/image-spec/annotations."""
    return [f"version={version()}", f"revision={revision()}", "licenses=Apache-2.0"]


def version() -> str:
    """Give the version of this tree."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: str = tomllib.load(file)["project"]["version"]
    return found


def revision() -> str:
    """Name the commit that is checked out."""
    return git("rev-parse", "HEAD") or "unknown"


def epoch() -> str:
    """Give the time of that commit in seconds, which is that of all files in an image."""
    return git("log", "-1", "--format=%ct") or "315532800"  # as early as ZIP files can tell


def git(*arguments: str) -> str:
    """Ask git; an empty answer where this is no working tree of it."""
    try:
        answer = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


if __name__ == "__main__":
    main()
