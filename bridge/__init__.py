"""What both sides of stembridge share: time, arrangement, protocol, hand-over. Light: no torch, no numpy at import."""

VERSION = "0.1.0"
