"""The service under a gunicorn of your own: ``gunicorn -c gunicorn.conf.py``.

``toolbox serve`` does the same, and reports each mistake in the settings in one line. Settings
come from ``TOOLBOX_CONFIG`` and the environment; assignments below override them.
"""

from toolbox.serving.bootstrap import read
from toolbox.serving.server import gunicorn_options

_settings = read()[0]
globals().update(gunicorn_options(_settings))

wsgi_app = "toolbox.serving.bootstrap:wsgi_app()"
preload_app = True  # One token for all later workers, if one is generated.
bind = [f"{_settings.server.host}:{_settings.server.port}", *_settings.server.also]
