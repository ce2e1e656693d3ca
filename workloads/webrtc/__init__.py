"""WebRTC at one UDP port a pod: viewers by WHEP, publishers by WHIP."""
