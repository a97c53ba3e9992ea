// Runs a module of wasm32-wasip1 in Node, as a runner of `cargo test`: arguments, environment, files and exit status are
// those of a command.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [path, ...args] = process.argv.slice(2);
const wasi = new WASI({
    version: "preview1",
    args: [path, ...args],
    env: process.env,
    preopens: { "/": "/", ".": "." },
    returnOnExit: true,
});
const { instance } = await WebAssembly.instantiate(await readFile(path), wasi.getImportObject());
process.exitCode = wasi.start(instance);
