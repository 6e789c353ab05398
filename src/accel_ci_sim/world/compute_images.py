"""The public images that the simulated Compute Engine knows, by project and family."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum


class Driver(StrEnum):
    """How the GPU driver comes into a machine of the image."""

    ABSENT = "absent"
    ON_REQUEST = "on-request"  # metadata install-nvidia-driver=True
    INSTALLED = "installed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image. `driver_version` is the NVIDIA driver's, where there is one."""

    project: str
    name: str
    family: str
    description: str
    disk_gb: int
    driver: Driver = Driver.ABSENT
    driver_version: str = ""
    deprecated: bool = False

    @property
    def number(self) -> int:
        """A number that stands for the image, always the same."""
        return zlib.crc32(f"{self.project}/{self.name}".encode()) << 30

    @property
    def path(self) -> str:
        """Its name in full."""
        return f"projects/{self.project}/global/images/{self.name}"


DATES = ("v20260915", "v20261012")  # the older one is deprecated


def _family(
    project: str,
    family: str,
    disk_gb: int,
    description: str,
    *,
    driver: Driver = Driver.ABSENT,
    version: str = "",
) -> list[Image]:
    return [
        Image(
            project=project,
            name=f"{family}-{date}",
            family=family,
            description=description,
            disk_gb=disk_gb,
            driver=driver,
            driver_version=version,
            deprecated=date != DATES[-1],
        )
        for date in DATES
    ]


LEARNING, ACCELERATED = "deeplearning-platform-release", "ubuntu-os-accelerator-images"
VERSIONS = {"550": "550.163.01", "570": "570.195.03", "580": "580.95.05"}

IMAGES = tuple(
    image
    for images in (
        *(
            _family("debian-cloud", f"debian-{number}", 10, f"Debian, Debian GNU/Linux, {number}, amd64")
            for number in (11, 12, 13)
        ),
        _family("ubuntu-os-cloud", "ubuntu-2204-lts", 10, "Canonical, Ubuntu, 22.04 LTS, amd64 jammy image"),
        _family("ubuntu-os-cloud", "ubuntu-2404-lts-amd64", 10, "Canonical, Ubuntu, 24.04 LTS, amd64 noble image"),
        _family("ubuntu-os-cloud", "ubuntu-minimal-2404-lts-amd64", 10, "Canonical, Ubuntu, 24.04 LTS Minimal, amd64"),
        _family("cos-cloud", "cos-stable", 10, "Google, Container-Optimized OS, stable"),
        *(
            _family(
                ACCELERATED,
                f"ubuntu-accelerator-{release}-amd64-with-nvidia-{driver}",
                15,
                f"Ubuntu {release} with the NVIDIA driver {driver}",
                driver=Driver.INSTALLED,
                version=VERSIONS[driver],
            )
            for release in ("2204", "2404")
            for driver in ("550", "570", "580")
        ),
        *(
            _family(
                ACCELERATED, f"ubuntu-accel-{release}-amd64-tpu-{chips}", 10, f"Ubuntu {release} for Cloud TPU {chips}"
            )
            for release, chips in (("2204", "v5e-v5p-v6e"), ("2404", "v5e-v5p-v6e"), ("2404", "tpu7x"))
        ),
        *(
            _family(
                LEARNING,
                family,
                50,
                "Google, Deep Learning VM, with the NVIDIA driver on request",
                driver=Driver.ON_REQUEST,
                version=VERSIONS[driver],
            )
            for family, driver in (
                ("common-cu124-debian-11", "550"),
                ("common-cu124-debian-11-py310", "550"),
                ("common-cu128-ubuntu-2204-nvidia-570", "570"),
                ("common-cu128-ubuntu-2404-nvidia-570", "570"),
                ("common-cu129-ubuntu-2204-nvidia-580", "580"),
                ("common-cu129-ubuntu-2404-nvidia-580", "580"),
                ("pytorch-2-7-cu128-ubuntu-2204-nvidia-570", "570"),
                ("pytorch-2-7-cu128-ubuntu-2404-nvidia-570", "570"),
            )
        ),
        _family(LEARNING, "common-cpu-debian-11", 50, "Google, Deep Learning VM, CPU"),
    )
    for image in images
)
BY_PATH = {image.path: image for image in IMAGES}


def of_project(project: str) -> list[Image]:
    """The project's images by name."""
    return sorted((image for image in IMAGES if image.project == project), key=lambda image: image.name)


def latest(project: str, family: str) -> Image | None:
    """The newest image of a family that is not deprecated."""
    # A deprecated image is never its family's: dated names are what breaks in a year.
    return next((i for i in reversed(of_project(project)) if i.family == family and not i.deprecated), None)


def found(reference: str, project: str) -> Image | None:
    """The image that a URL, a path or `family/<name>` means, in `project` when it names none."""
    path = reference.partition("/v1/")[2] or reference
    if not path.startswith("projects/"):
        path = f"projects/{project}/global/images/{path.removeprefix('global/').removeprefix('images/')}"
    family = re.fullmatch(r"projects/([^/]+)/zones/[^/]+/imageFamilyViews/([^/]+)", path)
    if family is not None:
        return latest(*family.groups())
    folder, _, name = path.partition("/images/")
    if name.startswith("family/"):
        return latest(folder.split("/")[1], name.removeprefix("family/"))
    return BY_PATH.get(path)
