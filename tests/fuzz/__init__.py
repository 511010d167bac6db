"""Bytes made to harm, against everything that reads bytes from outside."""
