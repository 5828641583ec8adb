"""The service under a gunicorn of your own: ``gunicorn -c gunicorn.conf.py``.

``toolbox serve`` does the same, and says in one line what is wrong with the settings. They come
from ``TOOLBOX_CONFIG`` and the environment; what you assign below wins over what was chosen.
"""

from toolbox.assemble import read
from toolbox.server import gunicorn_options

_settings = read()[0]
globals().update(gunicorn_options(_settings))

wsgi_app = "toolbox.assemble:wsgi_app()"
preload_app = True  # One token for all workers to come, if one has to be made up.
bind = f"{_settings.server.host}:{_settings.server.port}"
