"""Sounds as float32 samples, and what is wrong with a sound file.

==============================  ===========================================================================
`seqloss.data.sounds.reading`   `inspect_sound`, `read_sound`, `sound_blocks`: check a sound, or read it
`seqloss.data.sounds.headers`   which format a file has, by its first bytes
`seqloss.data.sounds.claims`    what a header claims, compared with what the file holds
`seqloss.data.sounds.riff`      the header of WAV files
`seqloss.data.sounds.sphere`    the header of NIST SPHERE files
`seqloss.data.sounds.ogg`       whether an Ogg file has its last page
`seqloss.data.sounds.levels`    silent, clipped and unscaled samples
`seqloss.data.sounds.resample`  another sampling rate; another speed
`seqloss.data.sounds.cache`     `SoundCache`: resampled sounds on disk
==============================  ===========================================================================
"""

from seqloss.data.sounds.cache import SoundCache, default_cache_folder
from seqloss.data.sounds.reading import SoundInfo, inspect_sound, read_sound, sound_blocks
from seqloss.data.sounds.resample import SPEEDS, change_speed, draw_speed, samples_after_speed

__all__ = [
    "SPEEDS",
    "SoundCache",
    "SoundInfo",
    "change_speed",
    "default_cache_folder",
    "draw_speed",
    "inspect_sound",
    "read_sound",
    "samples_after_speed",
    "sound_blocks",
]
