"""Motion for humanoid robots: scaled targets, inverse kinematics within limits, files for controllers, playback."""
