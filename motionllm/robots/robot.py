"""A robot: its MuJoCo model, the points of it that follow the human body, and the limits of its joints.

A robot is described by a YAML of frame pairs (`models/*.yaml`; docs/robots.md). The models of the built-in robots are
files in the wheel of `holosoma-retargeting` (Apache-2.0), which are read where they lie; the package is never imported,
and what it depends on is not installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import logging
import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from motionllm.errors import MotionLLMError, about, hint, lacking, listed, unknown
from motionllm.files import cache_folder, read_yaml, whole

log = logging.getLogger(__name__)

BUILTIN = ("g1", "h1", "t1")
MODELS = "holosoma-retargeting==0.1.0"  # whose wheel holds the built-in robots' models
PAIRED = tuple(
    f"{side}_{part}"
    for part in ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
KEYS = {"name", "model", "pairs", "rest", "velocity"}
COMPILATION = 5  # raise it when `_compile` gives another model: it is part of the cached file's name
FLOOR = "motionllm_floor"  # the name of the plane that every model gets
CLEARANCE = 0.03  # metres within which two links of the robot are kept apart


@dataclass(frozen=True, eq=False)
class Robot:
    """A floating-base humanoid of N joints of one degree of freedom each.

    model: its mujoco.MjModel, with a free joint first. joints: N names in the order of qpos[7:]. bodies (P,), local
    (P, 3): for each of `PAIRED`, the body that carries its point, and where on it, metres. low, high (N,): radians
    (metres for sliding joints). velocity (N,): radians per second. rest (7 + N,): the posture, standing, facing +x.
    """

    name: str
    model: Any
    joints: tuple[str, ...]
    bodies: np.ndarray
    local: np.ndarray
    low: np.ndarray
    high: np.ndarray
    velocity: np.ndarray
    rest: np.ndarray

    def points(self, qpos: np.ndarray) -> np.ndarray:
        """(T, P, 3) metres, Z up: where the points are in the postures qpos (T, 7 + N)."""
        import mujoco

        data = mujoco.MjData(self.model)
        placed = np.empty((len(qpos), len(self.bodies), 3))
        for frame, posture in zip(placed, qpos, strict=True):
            data.qpos[:] = posture
            mujoco.mj_kinematics(self.model, data)
            frame[:] = points_of(self, data)
        return placed


def points_of(robot: Robot, data: Any) -> np.ndarray:
    """(P, 3): where the points are in the state of an MjData after mj_kinematics."""
    turned = np.einsum("pij,pj->pi", data.xmat[robot.bodies].reshape(-1, 3, 3), robot.local)
    placed: np.ndarray = data.xpos[robot.bodies] + turned
    return placed


def load_robot(to: str) -> Robot:
    """A built-in robot by its name (`BUILTIN`), or a user's own by the path of its YAML.

    Raises MotionLLMError where MuJoCo or the built-in models are not installed, for an unknown name, and for a
    description or a model that lacks something.
    """
    if why := lacking("mujoco") or lacking("daqp"):
        raise MotionLLMError(f"Robots need MuJoCo and a solver, and {why}; pip install 'motionllm[robot]'.")
    if to in BUILTIN:
        description, folder = Path(__file__).parent / "models" / f"{to}.yaml", models_folder()
        return _build(_described(description), folder, cached=True)
    if Path(to).suffix.lower() in (".yaml", ".yml"):
        with about(to):
            return _build(_described(Path(to)), Path(to).parent, cached=False)
    if Path(to).suffix.lower() in (".urdf", ".xml"):
        raise MotionLLMError(f"{to}: give a YAML that names this model and its frame pairs (docs/robots.md).")
    raise MotionLLMError(f"{unknown('robot', to, BUILTIN)} A robot of your own is given by its YAML (docs/robots.md).")


def models_folder() -> Path:
    """Where the built-in robots' models lie. Raises MotionLLMError where their package is not installed."""
    spec = importlib.util.find_spec("holosoma_retargeting")  # locates a top-level package without importing it
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (folder := Path(place, "models")).is_dir():
            return folder
    raise MotionLLMError(f"The models of {', '.join(BUILTIN)} need a package: pip install --no-deps {MODELS}")


def _described(path: Path) -> dict[str, Any]:
    """The description in a YAML, its shape checked."""
    description = read_yaml(path, "robot description")
    if not isinstance(description, dict):
        raise MotionLLMError("a robot description is a mapping with 'model' and 'pairs' (docs/robots.md).")
    for key in description:
        if key not in KEYS:
            raise MotionLLMError(unknown("key", key, KEYS))
    if not isinstance(description.get("model"), str):
        raise MotionLLMError("'model' is the path of a URDF or an MJCF; it is missing.")
    pairs = description.get("pairs")
    if not isinstance(pairs, dict):
        raise MotionLLMError("'pairs' is a mapping like 'left_knee: left_knee_link'; it is missing.")
    if lacking := [name for name in PAIRED if name not in pairs]:
        raise MotionLLMError(f"'pairs' names no frame for {listed(lacking)}.")
    for name in pairs:
        if name not in PAIRED:
            raise MotionLLMError(f"'pairs': {unknown('joint of the body', name, PAIRED)}")
    return description


def _build(description: dict[str, Any], folder: Path, cached: bool) -> Robot:
    file = folder / description["model"]
    if not file.is_file():
        raise MotionLLMError(f"there is no model {file}.")
    model = _cached(file) if cached else _compile(file)
    hinges = range(1, model.njnt)
    joints = tuple(model.joint(j).name for j in hinges)
    low, high = model.jnt_range[1:].T.copy()
    unlimited = ~model.jnt_limited[1:].astype(bool)
    low[unlimited], high[unlimited] = -np.inf, np.inf
    rest = np.zeros(7 + len(joints))
    rest[3] = 1.0
    posture = _per_joint(description.get("rest") or {}, joints, "rest")
    rest[7:] = np.clip([posture.get(joint, 0.0) for joint in joints], low, high)
    velocity = _velocity(description.get("velocity"), file, joints)
    bodies, local = zip(*(_point(model, description["pairs"][name], name) for name in PAIRED), strict=True)
    return Robot(
        description.get("name") or file.stem,
        model,
        joints,
        np.array(bodies),
        np.array(local),
        low,
        high,
        velocity,
        rest,
    )


def _point(model: Any, pair: Any, name: str) -> tuple[int, np.ndarray]:
    """The body of a frame (a body or a site of the model), and a point in the body's axes."""
    import mujoco

    at: Any = (0.0, 0.0, 0.0)
    if isinstance(pair, dict):
        pair, at = pair.get("frame"), pair.get("at", at)
    if not isinstance(at, list | tuple) or len(at) != 3 or not all(isinstance(x, int | float) for x in at):
        raise MotionLLMError(f"'pairs': {name} has 'at: {str(at)[:40]}', which is not three numbers in metres.")
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, str(pair))
    if body >= 0:
        return body, np.array(at, float)
    site = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, str(pair))
    if site < 0:
        known = [model.body(b).name for b in range(1, model.nbody)] + [model.site(s).name for s in range(model.nsite)]
        raise MotionLLMError(f"'pairs': the model has no frame {str(pair)!r} for {name}; {hint(pair, known)}")
    turned = np.zeros(3)
    mujoco.mju_rotVecQuat(turned, np.array(at, float), model.site_quat[site])
    return int(model.site_bodyid[site]), model.site_pos[site] + turned


def _per_joint(values: Any, joints: tuple[str, ...], key: str) -> dict[str, float]:
    """A mapping of joint → number, its joints checked."""
    if not isinstance(values, dict) or not all(isinstance(value, int | float) for value in values.values()):
        raise MotionLLMError(f"'{key}' is a mapping of joints to numbers.")
    for joint in values:
        if joint not in joints:
            raise MotionLLMError(f"'{key}': the model has no joint {str(joint)!r}; {hint(joint, joints)}")
    return values


def _velocity(given: Any, file: Path, joints: tuple[str, ...]) -> np.ndarray:
    """(N,) limits from the description (one number, or a mapping), over those of a URDF."""
    if isinstance(given, int | float):
        limits = np.full(len(joints), float(given))
    else:
        own: dict[str, float] = {}
        for joint in ET.parse(file).iter("joint") if file.suffix.lower() == ".urdf" else ():
            name, limit = joint.get("name"), joint.find("limit")
            if name in joints and limit is not None and float(limit.get("velocity", "0")) > 0:
                own[str(name)] = float(limit.get("velocity", "0"))
        given = _per_joint(given or {}, joints, "velocity")
        limits = np.array([{**own, **given}.get(joint, np.nan) for joint in joints])
    if lacking := [joint for joint, limit in zip(joints, limits, strict=True) if not limit > 0]:
        raise MotionLLMError(f"'velocity' gives no limit above 0 for {listed(lacking)}, in radians per second.")
    return limits


# -- compiling ----------------------------------------------------------------------------------------------


def _cached(file: Path) -> Any:
    """The compiled model of a built-in robot: compiling takes seconds (its meshes), loading a tenth of one."""
    import mujoco

    stat = file.stat()
    key = f"{file.read_text('utf-8')} {stat.st_mtime_ns} {mujoco.__version__} {COMPILATION}"
    place = cache_folder() / "robots" / f"{file.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.mjb"
    if place.is_file():
        with contextlib.suppress(Exception):  # a damaged file is compiled again
            return mujoco.MjModel.from_binary_path(str(place))
    log.info("compiling %s (once; it is kept in %s)", file.name, place.parent)
    model = _compile(file)
    with contextlib.suppress(OSError, MotionLLMError):  # without a cache it is compiled each time
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole(place) as part:
            mujoco.mj_saveModel(model, str(part), None)
    return model


def _compile(file: Path) -> Any:
    """The model of a URDF or an MJCF with a free root, frames kept, and links that touch by construction excluded.

    Links at most two joints apart, and those that overlap in the zero posture, are not kept apart from each other:
    the joints' ranges do that, and convex hulls of neighbours overlap.
    """
    import mujoco

    try:
        spec = mujoco.MjSpec.from_file(os.fspath(file))
        spec.compiler.fusestatic = False  # links on fixed joints are frames that pairs may name
        spec.compiler.discardvisual = False
        roots = [body for body in spec.worldbody.bodies if body.joints or body.bodies]
        if len(roots) != 1:
            raise MotionLLMError(f"{file}: the model has {len(roots)} bodies on the ground; a robot is one tree.")
        if not any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in roots[0].joints):
            roots[0].add_freejoint()
        for geom in list(spec.worldbody.geoms):  # a floor of its own
            spec.delete(geom)
        model = spec.compile()
        _check_joints(model, file)
        excluded = {(model.body(a).name, model.body(b).name) for a, b in _neighbours(model) | _overlapping(model)}
        _add_floor(spec)
        for geom in spec.geoms:
            geom.margin = CLEARANCE
        for a, b in excluded:
            spec.add_exclude(bodyname1=a, bodyname2=b)
        model = spec.compile()
    except (ValueError, RuntimeError, mujoco.FatalError) as error:
        raise MotionLLMError(f"{file}: MuJoCo cannot load it: {' '.join(str(error).split())[:200]}") from None
    return model


def _add_floor(spec: Any) -> None:
    """A chequered plane at z = 0 that links are kept above, and a sky and light to see it by."""
    import mujoco

    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [0.6] * 3, [0.6] * 3
    spec.visual.headlight.specular = [0.1] * 3
    spec.add_texture(
        name=f"{FLOOR}_sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        width=64,
        height=384,
        rgb1=[1, 1, 1],
        rgb2=[1, 1, 1],
    )
    spec.add_texture(
        name=FLOOR,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        width=128,
        height=128,
        rgb1=[0.98, 0.98, 0.98],
        rgb2=[0.87, 0.89, 0.91],
    )
    material = spec.add_material(name=FLOOR, texrepeat=[2, 2], texuniform=True)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = FLOOR
    spec.worldbody.add_geom(name=FLOOR, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], material=FLOOR)


def _check_joints(model: Any, file: Path) -> None:
    import mujoco

    one = (int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE))
    for j in range(1, model.njnt):
        if model.jnt_type[j] not in one:
            raise MotionLLMError(f"{file}: joint {model.joint(j).name!r} is neither a hinge nor a slide.")
    if model.njnt < 2:
        raise MotionLLMError(f"{file}: the model has no joints that move.")


def _neighbours(model: Any) -> set[tuple[int, int]]:
    """Pairs of bodies with one or two joints between them."""
    above: dict[int, set[int]] = {}  # body → the moving bodies from it to the root
    for body in range(1, model.nbody):
        weld, above[body] = int(model.body_weldid[body]), set()
        while weld:
            above[body].add(weld)
            weld = int(model.body_weldid[model.body_parentid[weld]])
    return {
        (a, b)
        for a, b in combinations(above, 2)
        if 0 < sum(model.body_dofnum[body] for body in above[a] ^ above[b]) <= 2
    }


def _overlapping(model: Any) -> set[tuple[int, int]]:
    """Pairs of bodies whose geoms overlap in the zero posture."""
    import mujoco

    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    geoms = data.contact.geom[data.contact.dist < 0]
    return {(int(a), int(b)) for a, b in np.sort(model.geom_bodyid[geoms], axis=1) if a != b}
