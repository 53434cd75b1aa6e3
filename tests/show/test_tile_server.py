"""Whether tiles can be served is asked of the notebook server, and told in a sentence."""

import http.server
import json
import threading

import pytest

from jointnet.show import tile_server


class Server(http.server.BaseHTTPRequestHandler):
    """A notebook server under /deep/ whose extension, if it has one, finds nothing at the port it is asked for."""

    has_extension = True

    def do_GET(self):
        known = self.path.startswith("/deep/localtileserver-proxy/") and self.has_extension
        self.send_response(502 if known else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The server runs, and the kernel finds what Jupyter notes of it."""
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    notes = {"url": f"http://127.0.0.1:{running.server_port}/deep/", "base_url": "/deep/", "token": "t"}
    (tmp_path / "jpserver-77.json").write_text(json.dumps(notes))
    for name in ("JUPYTER_PLATFORM_DIRS", "LOCALTILESERVER_CLIENT_PREFIX", "LOCALTILESERVER_CLIENT_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JPY_PARENT_PID", "77")
    monkeypatch.setattr(tile_server, "find_spec", lambda name: name)
    yield running
    running.shutdown()
    running.server_close()


def test_a_server_with_the_extension_serves_tiles_below_its_own_address(server, monkeypatch):
    monkeypatch.setattr(Server, "has_extension", True)
    assert tile_server.why_no_tiles() == ""
    assert tile_server.tile_prefix() == "/deep/localtileserver-proxy/{port}"


def test_a_server_without_it_is_told_apart(server, monkeypatch):
    monkeypatch.setattr(Server, "has_extension", False)
    assert "install localtileserver where the server runs" in tile_server.why_no_tiles()


def test_a_server_that_cannot_be_found_is_that_of_a_hub(server, monkeypatch):
    monkeypatch.setenv("JPY_PARENT_PID", "78")
    assert "jupyter-server-proxy" in tile_server.why_no_tiles()
    monkeypatch.setenv("LOCALTILESERVER_CLIENT_PREFIX", "/user/ada/proxy/{port}")
    assert tile_server.why_no_tiles() == ""
    assert tile_server.tile_prefix() is None


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setattr(tile_server, "find_spec", lambda name: None if name == "xarray" else name)
    assert tile_server.why_no_tiles().startswith("tiles need xarray: pip install localtileserver xarray")
