"""Packaging of avsf-det: three packages, two commands, and configs/ as data of avsf_det."""

from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def requirements(name: str) -> list[str]:
    """The packages that requirements/`name`.in asks for."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


setup(
    name="avsf-det",
    version="0.1.0",
    description="Audiovisual SlowFast for spatiotemporal action detection: who does what, where and when",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    install_requires=requirements("runtime"),
    extras_require={name: requirements(name) for name in ("serve", "ray", "cloud", "export")},
    packages=[*find_packages(include=["avsf_det*", "detectors*", "ava_eval*"]), "avsf_det.configs"],
    package_dir={"avsf_det.configs": "configs"},
    package_data={"avsf_det.configs": ["**/*.yaml"], "ava_eval": ["label_maps/*"]},
    entry_points={"console_scripts": ["avsf-det = avsf_det.cli:main", "ava-eval = ava_eval.cli:main"]},
)
