"""A JupyterLab of the tests' own: its server, and what a test does with it in the browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

TOKEN = "only-for-this-test"
ROOT = Path(__file__).resolve().parents[2]
HUB = {
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/", "JUPYTERHUB_USER": "ada", "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_API_TOKEN": "none",
}


class Lab:
    """A running JupyterLab on a free port, with settings and notebooks of its own in `folder`."""

    def __init__(self, folder: Path, base_url: str = "/", extra: dict[str, str] | None = None):
        self.folder, self.base_url = folder, base_url
        self.port = _free_port()
        settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
        (folder / "notebooks").mkdir()
        self._log = (folder / "server.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={self.port}", "--port-retries=0",
             "--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.base_url={base_url}", "--allow-root",
             f"--ServerApp.root_dir={folder / 'notebooks'}", "--LabApp.expose_app_in_browser=True",
             "--LabApp.extension_manager=readonly"],
            env=os.environ | self._environment() | (extra or {}), cwd=folder,
            stdout=self._log, stderr=subprocess.STDOUT)
        try:
            self._wait()
        except RuntimeError:
            self.stop()
            raise

    def _environment(self) -> dict[str, str]:
        """Every folder of Jupyter's inside the test's own."""
        own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
               "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
               "IPYTHONDIR": "ipython"}
        return {name: str(self.folder / part) for name, part in own.items()} | {
            "PYTHONPATH": str(ROOT), "JUPYTER_NO_CONFIG": "", "MPLBACKEND": "module://matplotlib_inline.backend_inline"}

    def _wait(self) -> None:
        """Returns when the server answers."""
        address = f"http://127.0.0.1:{self.port}{self.base_url}api/status?token={TOKEN}"
        for _ in range(600):
            if self._process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended:\n{(self.folder / 'server.log').read_text()[-3000:]}")
            try:
                urllib.request.urlopen(address, timeout=2).close()
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"JupyterLab does not answer:\n{(self.folder / 'server.log').read_text()[-3000:]}")

    def write(self, name: str, *cells: str) -> None:
        """Saves a notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / "notebooks" / name)

    def address(self, name: str) -> str:
        """Where a notebook opens alone, in a fresh workspace."""
        return f"http://127.0.0.1:{self.port}{self.base_url}lab/workspaces/ci/tree/{name}?token={TOKEN}&reset"

    def stop(self) -> None:
        """Ends the server and its kernels."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        self._log.close()


def open_notebook(lab: Lab, page, name: str) -> None:
    """Opens a notebook and waits until it can be seen."""
    page.goto(lab.address(name))
    page.wait_for_function("window.jupyterapp && window.jupyterapp.shell.currentWidget"
                           " && window.jupyterapp.shell.currentWidget.content.widgets", timeout=120_000)


def run_all(page, cells: int) -> None:
    """Runs every cell, waits until all are done, and fails on an error output."""
    page.wait_for_function(
        "() => { const s = window.jupyterapp.shell.currentWidget.sessionContext;"
        " return s.session && s.session.kernel && s.session.kernel.status === 'idle'; }", timeout=120_000)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_function(
        "n => window.jupyterapp.shell.currentWidget.content.widgets.filter("
        "c => c.model.type === 'code' && c.model.executionCount > 0).length >= n", arg=cells, timeout=150_000)
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'", timeout=120_000)
    errors = page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.widgets.flatMap(c => (c.model.sharedModel.outputs || [])"
        ".filter(o => o.output_type === 'error').map(o => o.ename + ': ' + o.evalue))")
    if errors:
        raise AssertionError("\n".join(errors))


def ask_kernel(page, expression: str) -> str:
    """What an expression is in the kernel, as repr."""
    return page.evaluate(
        """async (code) => {
          const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
          const future = kernel.requestExecute({code: '', user_expressions: {x: code}, store_history: false});
          const reply = await future.done;
          const found = reply.content.user_expressions.x;
          return found.status === 'ok' ? found.data['text/plain'] : found.ename + ': ' + found.evalue;
        }""", expression)


def kernel_says(page, expression: str, expected: float, patience: float = 5) -> bool:
    """Whether an expression in the kernel becomes a number soon; a busy kernel hears of the browser's changes late."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if abs(float(ask_kernel(page, expression)) - expected) < 1e-6:
            return True
        page.wait_for_timeout(100)
    return False


def save(page) -> None:
    """Saves the notebook."""
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
