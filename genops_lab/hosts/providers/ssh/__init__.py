"""Reach hosts by SSH, with paramiko or the system's ssh."""
