// Inspect one image with a model exported by `kizu export`: no preprocessing, no other library than ONNX Runtime.
//
//     node inspect.js part.onnx image.ppm
//
// prints the score, the threshold, the p-value and the verdict, and writes the anomaly map to map.pgm.

import { readFile, writeFile } from "node:fs/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";

/** A colour PPM file (P6, 8 bits): its height, width and pixels, RGB RGB RGB from the top. */
async function readPpm(path) {
  const data = await readFile(path);
  const head = /^P6\s(?:#.*\n)*\s*(\d+)\s(?:#.*\n)*\s*(\d+)\s(?:#.*\n)*\s*255\s/.exec(data.toString("latin1", 0, 4096));
  if (head === null) throw new Error(`${path}: not an 8-bit colour PPM file`);
  const [width, height] = [Number(head[1]), Number(head[2])];
  const pixels = new Uint8Array(data.subarray(head[0].length, head[0].length + height * width * 3));
  if (pixels.length !== height * width * 3) throw new Error(`${path}: cut short`);
  return { height, width, pixels };
}

/** The map as a grey picture: black is 0, mid-grey the pixel threshold. */
async function writeMap(path, map, threshold) {
  const grey = Uint8Array.from(map.data, (value) => Math.min((value / threshold) * 127.5, 255));
  const head = `P5\n${map.dims[1]} ${map.dims[0]}\n255\n`;
  await writeFile(path, Buffer.concat([Buffer.from(head), grey]));
}

async function main(model, picture) {
  if (picture === undefined) throw new Error("usage: node inspect.js part.onnx image.ppm");

  // Once, when the program starts.
  const session = await InferenceSession.create(model);

  // For every image, of any size.
  const { height, width, pixels } = await readPpm(picture);
  const found = await session.run({ image: new Tensor("uint8", pixels, [height, width, 3]) });
  await writeMap("map.pgm", found.anomaly_map, found.pixel_threshold.data[0]);

  console.log(`score ${found.score.data[0]}`);
  console.log(`threshold ${found.threshold.data[0]}`);
  console.log(`p_value ${found.p_value.data[0]}`);
  console.log(`verdict ${found.ng.data[0] ? "ng" : found.review.data[0] ? "review" : "ok"}`);
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 2;
});
