"""The language model that speaks motion: decoding, loss, adapters, engines, and `MotionLM`."""

import logging

logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft imports it, and it logs kernels that nobody asked for
