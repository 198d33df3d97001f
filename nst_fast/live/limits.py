"""Every limit of the live server, in one place: what one client may take, and what all of them may take together.

They are there so that nobody can keep the others waiting: neither by holding connections open, nor by sending more
than the server can keep in memory, nor by asking for work that takes long. `docs/security.md` explains them.

A client is an IP address (for IPv6 its /64 network), see `nst_fast.live.connections.client_of`.
"""

# HTTP connections. Beyond these, the connection that has kept the server waiting longest makes room for the new one.
MAX_CONNECTIONS = 128
MAX_CONNECTIONS_PER_CLIENT = 48
TLS_HANDSHAKE_SECONDS = 5.0
REQUEST_HEADER_SECONDS = 10.0  # from the connection, or from the response before, to the end of the headers
BODY_STALL_SECONDS = 10.0  # without a single byte
BODY_GRACE_SECONDS = 10.0  # after which a body must have come at this rate
MIN_BODY_BYTES_PER_SECOND = 50_000
WRITE_STALL_SECONDS = 20.0  # for which a client may leave a response unread

# Uploaded pictures.
MAX_BODY_BYTES = 40_000_000
MAX_BODY_BYTES_IN_FLIGHT = 120_000_000
MAX_BODY_BYTES_IN_FLIGHT_PER_CLIENT = 80_000_000
MAX_PICTURES = 4  # waiting or in work
MAX_PICTURES_PER_CLIENT = 3
PICTURES_AT_ONCE = 2  # in work: one is decoded or encoded while another is stylized
MAX_PICTURE_PIXELS = 40_000_000  # of the file, and of the size at which the network works
TILED_PIXELS = 4_000_000  # from which a picture is stylized in tiles, which bounds the memory
DECODE_SECONDS = 10.0
DECODER_MEMORY_BYTES = 2_000_000_000  # address space of the process that decodes

# Styles made from images. Beyond these, the one that has not been used for longest makes room.
MAX_MADE_STYLES = 20
MAX_MADE_STYLES_PER_CLIENT = 10
MADE_STYLE_BUSY_SECONDS = 20.0  # since its last use, in which a style makes room for no other
MAX_OPEN_MADE_STYLES = 4  # whose networks are in memory, some hundred megabytes each

# WebSockets. Beyond these, one that is idle makes room, or one of the client that has the most.
MAX_SESSIONS = 16
MAX_SESSIONS_PER_CLIENT = 8
SESSION_IDLE_SECONDS = 60.0
SESSION_BUSY_SECONDS = 2.0  # since its last frame, in which a session is not idle
MAX_FRAME_BYTES = 4_000_000
MAX_FRAME_PIXELS = 1920 * 1200
MAX_FRAME_SCANS = 12  # of a progressive JPEG; encoders make 10, and each takes as long as a whole baseline JPEG
MAX_TEXT_CHARACTERS = 1_000

SHUTDOWN_SECONDS = 2  # for responses under way, after Ctrl-C
