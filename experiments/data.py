"""The plays of a run: simulated when no source is named, prepared once, kept in the cache folder."""

from pathlib import Path

from tqdm import tqdm

from sbp_jax.config import DataConfig, digest
from sbp_jax.data.simulate import SimulationConfig, simulate


def simulated(config: DataConfig) -> Path:
    """Folder of the simulated files, written when missing."""
    settings = SimulationConfig(plays=config.plays, seed=config.seed)
    folder = Path(config.cache) / f"simulated-{config.plays}-{digest(config.plays, config.seed)}"
    if not folder.is_dir():
        with tqdm(total=config.plays, desc="simulate", unit="play") as bar:
            simulate(folder, settings, bar.update)
    return folder
