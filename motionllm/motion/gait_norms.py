"""Usual ranges of gait figures and bands of joint angles over the stride, with their sources."""

from __future__ import annotations

import numpy as np

from motionllm.errors import MotionLLMError

# Healthy adults at their own pace, mean ± 1 SD or the range given. Perry and Burnfield 2010 (Gait Analysis, 2nd ed.):
# cadence, stride, phases. Winter 1991 (The Biomechanics and Motor Control of Human Gait): ranges of joints.
NORMS: dict[str, tuple[float, float]] = {
    "cadence": (100, 125),
    "stride_time": (0.96, 1.2),
    "stride_length": (1.2, 1.6),
    "step_width": (0.05, 0.13),
    "stance": (58, 64),
    "swing": (36, 42),
    "double_support": (16, 28),
    "single_support": (36, 42),
    "hip_range": (36, 50),
    "knee_range": (52, 68),
    "ankle_range": (20, 36),
}
# m/s by decade of age from the twenties, men and women (Bohannon and Williams Andrews 2011, Physiotherapy 97).
SPEEDS: dict[str, tuple[float, ...]] = {
    "male": (1.358, 1.433, 1.434, 1.433, 1.339, 1.262, 0.968),
    "female": (1.341, 1.337, 1.390, 1.313, 1.241, 1.132, 0.943),
}
SPREAD = 0.2  # m/s; the usual range is these means ± this

# Degrees at 0, 4 … 100 % of the stride: mean and standard deviation of hip, knee and ankle. Pinzone, Schwartz,
# Thomason and Baker 2014 (Gait & Posture 40), electronic appendix: 81 + 31 typically developing children of two
# hospitals, 4.5 to 18 years, at their own pace, sex not given; here the mean of the two hospitals. The hip is to the
# pelvis there; the pelvis' own tilt is subtracted here, since 22 joints give the thigh to the vertical, and its spread
# is left in. Numbers of adults by age and sex are in no source that could be checked; adults' curves agree with those
# of children who walk as fast (Bovi et al. 2011, Gait & Posture 33).
_CURVES = np.array(
    [
        (24.0, 6.4, 6.1, 4.9, -2.3, 4.8),
        (24.1, 6.7, 12.2, 5.2, -5.4, 4.4),
        (23.0, 7.2, 17.9, 6.0, -3.7, 3.7),
        (20.0, 7.4, 19.8, 6.6, 0.2, 3.6),
        (15.5, 7.3, 18.6, 6.5, 3.3, 3.6),
        (10.4, 7.0, 16.0, 6.2, 5.5, 3.5),
        (5.4, 6.7, 13.2, 6.0, 7.0, 3.3),
        (0.5, 6.4, 10.6, 5.8, 8.3, 3.4),
        (-4.0, 6.4, 8.4, 5.7, 9.5, 3.6),
        (-8.3, 6.5, 6.8, 5.8, 10.6, 3.9),
        (-12.3, 6.5, 6.0, 5.8, 11.6, 4.3),
        (-15.7, 6.5, 6.8, 5.6, 12.4, 4.7),
        (-18.0, 6.4, 9.9, 5.5, 11.6, 5.5),
        (-18.5, 6.4, 15.7, 5.8, 7.2, 7.3),
        (-16.2, 6.6, 25.0, 6.3, -2.8, 9.2),
        (-10.7, 6.9, 37.3, 6.8, -14.4, 8.7),
        (-2.9, 7.2, 50.1, 6.7, -17.8, 7.6),
        (5.3, 7.2, 59.0, 6.1, -12.7, 7.1),
        (12.3, 7.2, 61.4, 6.6, -6.4, 6.3),
        (17.8, 7.2, 57.6, 7.9, -1.8, 5.4),
        (21.7, 7.0, 48.9, 9.1, 0.8, 4.8),
        (24.0, 6.9, 36.6, 9.6, 1.6, 4.3),
        (24.7, 6.7, 22.8, 8.9, 1.3, 4.0),
        (24.2, 6.5, 10.3, 7.2, 0.6, 4.2),
        (23.5, 6.4, 3.9, 5.6, -0.4, 4.6),
        (23.6, 6.5, 5.8, 5.5, -2.6, 4.6),
    ]
)
_COLUMN = {"hip": 0, "knee": 2, "ankle": 4}
BAND_NOTE = (
    "The grey band is the mean ± 1 standard deviation of 112 typically developing children and adolescents of 4.5 to "
    "18 years at their own pace (Pinzone, Schwartz, Thomason and Baker, Gait & Posture 40, 2014; sex not given). Bands "
    "of adults by age and sex are not drawn, for want of numbers that could be checked; adults' curves agree with "
    "those of children who walk as fast (Bovi et al., Gait & Posture 33, 2011). The hip's band is the published one "
    "less the pelvis' tilt; the ankle's is moved to the mean of this person's curve: 22 joints do not give the sole."
)


def band(joint: str, mean: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """((101,) mean, (101,) standard deviation) in degrees over the stride of "hip", "knee" or "ankle".

    mean: degrees that the ankle's band is moved to have as its own mean; the others stay where they are.
    """
    at, known, column = np.arange(101), np.arange(0, 101, 4), _COLUMN[joint]
    curve = np.interp(at, known, _CURVES[:, column])
    if joint == "ankle" and mean is not None:
        curve += mean - curve.mean()
    return curve, np.interp(at, known, _CURVES[:, column + 1])


def norms(age: float | None = None, sex: str | None = None) -> dict[str, tuple[float, float]]:
    """Name → (low, high) of healthy adults; the speed by age and sex where both are known.

    Raises MotionLLMError for an age below 20 or above 99, or a sex that the sources do not have.
    """
    if (age is None) != (sex is None):
        raise MotionLLMError("Usual walking speeds go by age and sex together: give both, or neither.")
    if age is None or sex is None:
        return {**NORMS, "speed": (1.1, 1.6)}
    if sex not in SPEEDS:
        raise MotionLLMError(f"Usual walking speeds are known for female and male, not for '{sex}'.")
    if not 20 <= age <= 99:
        raise MotionLLMError(f"Usual walking speeds are known from 20 to 99 years, not for {age:g}.")
    mean = SPEEDS[sex][min(int(age // 10) - 2, len(SPEEDS[sex]) - 1)]
    return {**NORMS, "speed": (round(mean - SPREAD, 2), round(mean + SPREAD, 2))}
