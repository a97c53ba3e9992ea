"""What the modules for other libraries have in common."""

import subprocess
import sys


def test_importing_lmic_imports_none_of_the_other_libraries():
    others = ["fsspec", "numcodecs", "zarr", "pandas", "pyarrow", "dask", "datasets", "lm_eval", "ray", "torch"]
    program = f"import sys, lmic; print([name for name in {others} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"
