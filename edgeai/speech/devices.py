"""Microphones and speakers, through PortAudio: list them, and open them as a source and a sink of sound."""

from edgeai.speech.device import Device
from edgeai.speech.device_list import devices, find_device
from edgeai.speech.microphone import Microphone
from edgeai.speech.speaker import Speaker

__all__ = ["Device", "Microphone", "Speaker", "devices", "find_device"]
