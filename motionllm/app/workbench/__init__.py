"""The workbench: rooms beside the conversation of `motionllm web`, plain pages rendered on the server.

A room is one module with a function `routes(bench)`, one template that extends `layout.html`, and a line in `ROOMS`
of `frame.py`; its script and style lie in `static/`.
"""
