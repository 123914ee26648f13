"""A hub with two real Linux users, each with an own uid and home. Read by tests/hub/test_hub.py alone."""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821 - JupyterHub defines it
here = Path(os.environ["HUB_FOLDER"])
port = int(os.environ["HUB_PORT"])

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}{os.environ['HUB_BASE_URL']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 1}"
c.ConfigurableHTTPProxy.command = [os.environ["HUB_PROXY"]]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"
c.ConfigurableHTTPProxy.pid_file = str(here / "proxy.pid")
c.JupyterHub.db_url = f"sqlite:///{here}/hub.sqlite"
c.JupyterHub.cookie_secret_file = str(here / "cookie_secret")
c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = os.environ["HUB_PASSWORD"]
c.Authenticator.allowed_users = set(os.environ["HUB_USERS"].split(","))
# LocalProcessSpawner: the server runs under the user's own uid, in the user's own home.
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = [str(Path(sys.executable).parent / "jupyterhub-singleuser")]
c.Spawner.default_url = "/lab"
c.Spawner.environment = {
    "SHELL": "/bin/bash",
    "PATH": os.pathsep.join([os.environ["HUB_NO_NODE"], os.environ["PATH"]]),
}
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
