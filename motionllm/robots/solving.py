"""Inverse kinematics of a robot: frame after frame, a few steps of damped least squares, each a small QP within limits.

A step minimises Σ w |x + J dq − target|² over the points, with a little weight on the posture of rest and on the frame
before, subject to the limits of the joints and their velocities (as bounds) and to the clearance of links that come
near each other (as rows: the velocity along a contact's normal may use up the distance, no more). MuJoCo computes
kinematics, Jacobians and distances, daqp solves the QP (35 unknowns for Unitree G1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from motionllm.robots.robot import FLOOR, PAIRED, Robot, points_of
from motionllm.robots.targets import SIDES, Targets, edge_points

STEPS = 5  # a frame, at most; where hands or feet are away from their targets still, more
MOST_STEPS = 20
AWAY = 0.02  # metres along an axis
FIRST_STEPS = 80  # from the posture of rest to the first frame, at most
SETTLED = 5e-3  # radians: a step whose joints all change less is the last
REPAIRS = 10  # more steps, at most, where links overlap
STRIDE = 0.5  # radians or metres that a step may go
WEIGHT = {"hip": 1.0, "knee": 0.2, "ankle": 10.0, "foot": 10.0, "shoulder": 1.0, "elbow": 0.3, "wrist": 5.0}
ENDS = [p for p, name in enumerate(PAIRED) if name.split("_")[1] in ("wrist", "ankle", "foot")]
STANDING = 10.0  # times the weights of a foot that stands
SOON = 0.1  # seconds before and after a contact in which they hold as well
EDGE = 2.0
REST = 2e-3  # on (q − rest)², against 1 on a metre²
KEEP = 1e-3  # on (q − the frame before)²
DISTANCE = 0.004  # metres that links keep from each other and from the floor
UNDER = 0.002  # metres below the floor that are none
RECOVERY = 0.02  # metres that a step may move overlapping links apart
INSIDE = 1e-4  # radians that joints stay inside their limits, and share of the velocity: files round


def solve(robot: Robot, goal: Targets) -> np.ndarray:
    """(T, 7 + N): root position, quaternion (w, x, y, z) and joints that follow the targets within the limits."""
    return _Solver(robot, goal).run()


def _moves(model: Any) -> np.ndarray:
    """(bodies, nv) bool: which degrees of freedom move which body."""
    moves = np.zeros((model.nbody, model.nv), bool)
    for body in range(1, model.nbody):  # parents come before their children
        moves[body] = moves[model.body_parentid[body]]
        first = model.body_dofadr[body]
        moves[body, first : first + model.body_dofnum[body]] = True
    return moves


class _Solver:
    def __init__(self, robot: Robot, goal: Targets) -> None:
        import mujoco

        self.robot, self.goal = robot, goal
        self.model, self.data = robot.model, mujoco.MjData(robot.model)
        self.floor = self.model.geom(FLOOR).id
        self.feet = self.model.body_weldid[robot.bodies[[PAIRED.index(f"{side}_foot") for side in SIDES]]]
        feet = [PAIRED.index(f"{side}_foot") for side in SIDES]
        self.bodies = np.concatenate([robot.bodies, robot.bodies[feet]])
        self.local = np.concatenate([robot.local, edge_points(robot)])
        self.points = np.concatenate([goal.points, goal.edges], axis=1)
        self.weights = self._weights()
        self.jacobian = np.zeros((3 * len(self.bodies), self.model.nv))
        self.low, self.high = robot.low + INSIDE, robot.high - INSIDE
        self.travel = robot.velocity * (1 - INSIDE) / goal.fps
        self.address = self.model.jnt_qposadr[1:]
        self.dofs = self.model.jnt_dofadr[1:]
        self.retracted = 0
        self.moves = _moves(self.model)
        self.sides = np.zeros((2, 3, self.model.nv))

    def _weights(self) -> np.ndarray:
        """(T, P + 2) weights of the points and of the feet's edges."""
        one = [WEIGHT[name.split("_")[1]] for name in PAIRED] + [EDGE, EDGE]
        weights = np.tile(one, (len(self.goal), 1))
        soon = maximum_filter1d(self.goal.standing, 1 + 2 * round(SOON * self.goal.fps), axis=0)
        for n, side in enumerate(SIDES):
            own = [PAIRED.index(f"{side}_ankle"), PAIRED.index(f"{side}_foot"), len(PAIRED) + n]
            weights[np.ix_(soon[:, n], own)] *= STANDING
        return weights

    def run(self) -> np.ndarray:
        posture = self.robot.rest.copy()
        hips = [PAIRED.index("left_hip"), PAIRED.index("right_hip")]
        turn = self.goal.turn[0] / 2
        posture[3:7] = [np.cos(turn), 0, 0, np.sin(turn)]
        posture[:3] += (self.goal.points[0] - self.robot.points(posture[None])[0])[hips].mean(0)
        self._place(posture)
        solved = np.empty((len(self.goal), len(posture)))
        for t in range(len(self.goal)):
            before = self.data.qpos[7:].copy()
            low, high = self.low, self.high
            if t:
                low, high = np.maximum(low, before - self.travel), np.minimum(high, before + self.travel)
            for step in range(MOST_STEPS if t else FIRST_STEPS):
                if step >= STEPS and not self._away(t):
                    break
                if self._step(t, before, low, high) < SETTLED:
                    break
            for repair in range(1, REPAIRS + 1):
                if not self._touching():
                    break
                self._step(t, before, low, high, repair)
            self._retract(before)
            solved[t] = self.data.qpos
        return solved

    def _away(self, t: int) -> bool:
        """Whether a hand or a foot is away from its target."""
        return bool((np.abs(points_of(self.robot, self.data)[ENDS] - self.points[t, ENDS]) > AWAY).any())

    def _retract(self, before: np.ndarray) -> None:
        """Where links still overlap, take the joints between them back towards those of the frame before."""
        for left in (0.75, 0.5, 0.25, 0.0, 0.0, 0.0):
            between = self._overlapping()[self.dofs]
            if not between.any():
                return
            posture = self.data.qpos.copy()
            posture[7:][between] = (before + left * (posture[7:] - before))[between]
            self._place(posture)
            self.retracted += 1
        if self._overlapping().any():
            self._place(np.concatenate([self.data.qpos[:7], before]))

    def _place(self, posture: np.ndarray) -> None:
        """Put the robot into a posture, and see which links are near each other."""
        import mujoco

        self.data.qpos[:] = posture
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_collision(self.model, self.data)

    def _step(self, t: int, before: np.ndarray, low: np.ndarray, high: np.ndarray, repair: int = 0) -> float:
        """Go one step from where the robot is; returns the largest change of a joint, in radians."""
        import daqp
        import mujoco

        hessian, gradient = self._objective(t, before)
        rows, least = self._clearance(DISTANCE * (1 + repair / 4))
        now = self.data.qpos[7:]
        lower, upper = np.full(self.model.nv, -STRIDE), np.full(self.model.nv, STRIDE)
        lower[self.dofs] = np.clip(low - now, -STRIDE, 0)
        upper[self.dofs] = np.clip(high - now, 0, STRIDE)
        sense = np.zeros(self.model.nv + len(rows), np.int32)
        sense[self.model.nv :] = 8  # soft: a QP that nothing satisfies still has an answer
        above = np.full(len(rows), 1e30)
        step, _, flag, _ = daqp.solve(
            hessian, gradient, rows, np.concatenate([upper, above]), np.concatenate([lower, least]), sense
        )
        if flag <= 0:
            return 0.0
        step = np.clip(step, lower, upper)
        posture = self.data.qpos.copy()
        mujoco.mj_integratePos(self.model, posture, step, 1 / (1 + repair / 2))
        self._place(posture)
        return float(np.abs(step[self.dofs]).max())

    def _objective(self, t: int, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hessian (nv, nv) and gradient (nv,) of the weighted squares at the present posture."""
        import mujoco

        model, data = self.model, self.data
        turned = np.einsum("pij,pj->pi", data.xmat[self.bodies].reshape(-1, 3, 3), self.local)
        at = data.xpos[self.bodies] + turned
        for p, body in enumerate(self.bodies):
            mujoco.mj_jac(model, data, self.jacobian[3 * p : 3 * p + 3], None, at[p], body)
        weighted = self.jacobian * np.repeat(self.weights[t], 3)[:, None]
        hessian = self.jacobian.T @ weighted
        gradient = weighted.T @ (at - self.points[t]).ravel()
        hessian[np.arange(6), np.arange(6)] += 1e-4
        hessian[self.dofs, self.dofs] += REST + KEEP
        gradient[self.dofs] += REST * (data.qpos[7:] - self.robot.rest[7:]) + KEEP * (data.qpos[7:] - before)
        return hessian, gradient

    def _touching(self) -> bool:
        """Whether two links overlap, or one is more than a little under the floor."""
        contact: Any = self.data.contact
        on_floor = (contact.geom == self.floor).any(1)
        return bool((contact.dist < np.where(on_floor, -UNDER, 0.0)).any())

    def _overlapping(self) -> np.ndarray:
        """(nv,) bool: the joints that lie between links that overlap."""
        contact: Any = self.data.contact
        over = (contact.dist < 0) & (contact.geom != self.floor).all(1)
        one, two = self.model.geom_bodyid[contact.geom[over]].T
        between: np.ndarray = (self.moves[one] != self.moves[two]).any(0)
        return between

    def _clearance(self, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """Rows (C, nv) and their lower bounds (C,): each near pair of geoms' approach, and what is left to approach."""
        import mujoco

        model, data = self.model, self.data
        contact: Any = data.contact
        bodies = model.body_weldid[model.geom_bodyid[contact.geom]]
        # Soles are to touch the floor, everything else keeps its distance.
        soles = (contact.geom == self.floor).any(1) & np.isin(bodies, self.feet).any(1)
        least = np.minimum(np.where(soles, 0.0, distance) - contact.dist, RECOVERY)
        nearest: dict[tuple[int, int], int] = {}
        for c in np.argsort(contact.dist):
            nearest.setdefault((contact.geom[c, 0], contact.geom[c, 1]), c)
        rows = np.zeros((len(nearest), model.nv))
        for row, c in enumerate(nearest.values()):
            for side, body in zip(self.sides, bodies[c], strict=True):
                mujoco.mj_jac(model, data, side, None, contact.pos[c], body)
            rows[row] = contact.frame[c, :3] @ (self.sides[1] - self.sides[0])
        return rows, least[list(nearest.values())]
