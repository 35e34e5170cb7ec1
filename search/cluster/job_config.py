"""What a driver of ours tells Ray about the import path of its workers."""

from typing import Any

from ray.job_config import JobConfig as RaysJobConfig

from search.core import import_path


class JobConfig(RaysJobConfig):  # type: ignore[misc]  # Ray's classes have no types here
    """A job whose workers import our packages, and nothing from where the driver was started.

    Ray 2.60 puts the folder of the driver's script and its working folder first on the path of
    every worker, and has no switch for that. It writes them down when it connects, unless the job
    brings a working folder of its own, just before the job is serialised.
    """

    _py_driver_sys_path: list[str]

    def _serialize(self) -> Any:
        if self._py_driver_sys_path:
            self._py_driver_sys_path = import_path.extra_folders()
        return super()._serialize()
