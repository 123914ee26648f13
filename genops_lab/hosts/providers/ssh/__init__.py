"""Hosts that are reached by SSH, by paramiko or the system's ssh."""
