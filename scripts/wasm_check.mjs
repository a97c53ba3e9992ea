// The library as a WebAssembly module does what the command does: it restores the golden archives to the same content and
// compresses to the same bytes.
//
//     node scripts/wasm_check.mjs MODULE.wasm COMMAND [BYTES]
//
// BYTES of this repository's documents are compressed at some levels, and the speed of level 7 is shown.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";

const [modulePath, command, bytes = "20000"] = process.argv.slice(2);
const root = join(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname), "..");
const golden = join(root, "crates/lmic/tests/golden");

// The model folder of the command: the networks and states of the golden archives and that of level 9, joined from its shards.
const models = mkdtempSync(join(tmpdir(), "lmic-wasm-"));
process.on("exit", () => rmSync(models, { recursive: true, force: true }));
const isModel = (file) => /\.(safetensors|lmicp)$/.test(file);
for (const file of readdirSync(golden).filter(isModel)) cpSync(join(golden, file), join(models, file));
native("", "model", "add", join(root, "models/lmic-9"));

const { instance } = await WebAssembly.instantiate(readFileSync(modulePath), {});
const lmic = instance.exports;

/** Calls a function of the module with `input`; returns what came out. */
function call(name, input, ...args) {
    const at = lmic.lmic_input(input.length);
    new Uint8Array(lmic.memory.buffer, at, input.length).set(input);
    const failed = lmic[name](...args);
    const output = Buffer.from(new Uint8Array(lmic.memory.buffer, lmic.lmic_output(), lmic.lmic_output_len()));
    if (failed) throw new Error(`${name}: ${output}`);
    return output;
}

/** The command with `input`; returns what came out. */
function native(input, ...args) {
    const env = { ...process.env, LMIC_MODELS: models };
    const { status, stdout, stderr } = spawnSync(command, args, { input, env, maxBuffer: 1 << 30 });
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
    return stdout;
}

let passed = 0;
let failed = 0;
function check(what, ours, expected) {
    const same = ours.equals(expected);
    if (!same) console.log(`${what}: other bytes`);
    same ? passed++ : failed++;
}

for (const file of readdirSync(models).filter(isModel)) call("lmic_add_model", readFileSync(join(models, file)));
for (const file of readdirSync(golden).filter((file) => file.endsWith(".lmic"))) {
    const archive = readFileSync(join(golden, file));
    check(file, call("lmic_decompress", archive), native(archive, "-qdc"));
}

const documents = readdirSync(join(root, "docs")).filter((file) => file.endsWith(".md")).sort();
const text = Buffer.concat(documents.map((file) => readFileSync(join(root, "docs", file)))).subarray(0, Number(bytes));
for (const level of [1, 5, 6, 7]) {
    const start = performance.now();
    const archive = call("lmic_compress", text, level);
    const between = performance.now();
    const restored = call("lmic_decompress", archive);
    const end = performance.now();
    check(`level ${level}`, archive, native(text, `-qc${level}`));
    check(`level ${level}, restored`, restored, text);
    const speed = (time) => (text.length / time).toFixed(1);
    console.log(
        `level ${level}: ${text.length} -> ${archive.length} bytes, ` +
            `${speed(between - start)} KB/s there, ${speed(end - between)} KB/s back`,
    );
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
