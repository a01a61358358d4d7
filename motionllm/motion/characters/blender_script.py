"""Runs inside Blender: GLB to FBX, and where an FBX file's joints are when Blender reads it back.

blender --background --factory-startup --python blender_script.py -- IN.glb OUT.fbx POSES.json FPS FRAMES
python blender_script.py -- IN.glb OUT.fbx POSES.json FPS FRAMES       (a Python with the package bpy)
"""

from __future__ import annotations

import json
import sys
from typing import Any

import bpy


def empty_scene(fps: float, frames: int) -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps = max(1, round(fps))
    scene.render.fps_base = scene.render.fps / fps
    scene.frame_start, scene.frame_end = 0, frames - 1


def armature() -> Any:
    return next(thing for thing in bpy.context.scene.objects if thing.type == "ARMATURE")


def poses(frames: int, first: int) -> dict[str, list[list[float]]]:
    """Where each bone's head is at each frame: metres, Y up."""
    body = armature()
    heads: dict[str, list[list[float]]] = {bone.name: [] for bone in body.pose.bones}
    for frame in range(frames):
        bpy.context.scene.frame_set(first + frame)
        for bone in body.pose.bones:
            x, y, z = body.matrix_world @ bone.head
            heads[bone.name].append([x, z, -y])
    return heads


def first_frame() -> int:
    return round(min(action.frame_range[0] for action in bpy.data.actions))


def main() -> None:
    source, target, report, fps, frames = sys.argv[sys.argv.index("--") + 1 :]
    empty_scene(float(fps), int(frames))
    bpy.ops.import_scene.gltf(filepath=source)
    start = first_frame()
    bpy.context.scene.frame_start, bpy.context.scene.frame_end = start, start + int(frames) - 1
    bpy.ops.export_scene.fbx(
        filepath=target,
        object_types={"ARMATURE", "MESH", "EMPTY"},
        add_leaf_bones=False,
        apply_scale_options="FBX_SCALE_ALL",
        bake_anim_use_all_actions=False,
        bake_anim_use_nla_strips=False,
        bake_anim_simplify_factor=0.0,
        path_mode="COPY",
        embed_textures=True,
    )
    empty_scene(float(fps), int(frames))
    bpy.ops.import_scene.fbx(filepath=target)
    with open(report, "w", encoding="utf-8") as file:
        json.dump(poses(int(frames), first_frame()), file)


if __name__ == "__main__":
    main()
