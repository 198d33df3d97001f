"""The taps with which the program trains and is judged by default; light, so that a help text can show them."""

DEFAULT_CONTENT_TAPS = {"relu3_2": 1.0}
DEFAULT_STYLE_TAPS = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.0, "relu4_1": 1.0}
