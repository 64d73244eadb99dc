"""Patched: importing this lets gevent patch the standard library; for what needs it to wait."""

from gevent import monkey

monkey.patch_all()
