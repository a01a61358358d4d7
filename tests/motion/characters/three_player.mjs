// node three_player.mjs FPS FRAMES CHARACTER.glb [ANIMATION.vrma]: where three.js has the nodes at each frame, as JSON
import { readFileSync } from "node:fs";

globalThis.self = globalThis;
globalThis.ProgressEvent ??= class {};
const THREE = await import("three");
const { GLTFLoader } = await import("three/addons/loaders/GLTFLoader.js");
const [fps, frames, file, vrma] = process.argv.slice(2);
const loader = new GLTFLoader();
const { VRMLoaderPlugin, VRMUtils } = await import("@pixiv/three-vrm");
const { VRMAnimationLoaderPlugin, createVRMAnimationClip } = await import("@pixiv/three-vrm-animation");
loader.register((parser) => new VRMLoaderPlugin(parser));
loader.register((parser) => new VRMAnimationLoaderPlugin(parser));

async function load(path) {
  const content = readFileSync(path);
  return loader.parseAsync(content.buffer.slice(content.byteOffset, content.byteOffset + content.length), "");
}

const gltf = await load(file);
let [root, clip, vrm] = [gltf.scene, gltf.animations[0], undefined];
if (vrma) {
  vrm = gltf.userData.vrm;
  VRMUtils.rotateVRM0(vrm);
  clip = createVRMAnimationClip((await load(vrma)).userData.vrmAnimations[0], vrm);
  root = vrm.scene;
}
const mixer = new THREE.AnimationMixer(root);
const action = mixer.clipAction(clip);
action.setLoop(THREE.LoopOnce);
action.clampWhenFinished = true;
action.play();
const poses = {};
for (let t = 0; t < Number(frames); t++) {
  mixer.setTime(t / Number(fps) + 1e-6);
  vrm?.humanoid.update();
  root.updateMatrixWorld(true);
  root.traverse((node) => {
    const place = new THREE.Vector3().setFromMatrixPosition(node.matrixWorld);
    (poses[node.userData.name ?? node.name] ??= []).push(place.toArray());
  });
}
console.log(JSON.stringify(poses));
