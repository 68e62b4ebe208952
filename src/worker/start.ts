/**
 * The published worker: one file with the worker's code as a text. It runs the code that V8 compiled for an earlier
 * worker.
 *
 * Node.js's own compile cache has the functions that are compiled at load time. Most functions of a worker are compiled
 * at their first call, so the cache of this module is written when a worker that delivered messages ends (ADR 0013). In
 * a host that is bundled into one file, V8 skips a text faster than code (ADR 0010).
 */
import { isMarkedAsWorker, setOwnWorker } from "../layers/WorkerMarks.ts"
import { compiledCodeFolder } from "./CompiledCode.ts"

/** `main.ts`, bundled as a function of its module, its exports and its `require`. */
declare const workerCode: string

const { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } = process.getBuiltinModule("node:fs")
const { Script } = process.getBuiltinModule("node:vm")

const checksumBytes = 4

const checksum = (bytes: string | Buffer): number => process.getBuiltinModule("node:zlib").crc32(bytes)

// V8 checks the length of the source only, so the cache has a checksum.
const readCompiled = (cache: string): Buffer | undefined => {
  try {
    const stat = lstatSync(cache)
    const user = process.geteuid?.()
    // Reading a FIFO would block before the worker's timer runs. A file with write access for other users is not
    // executed.
    if (!stat.isFile() || (user !== undefined && (stat.uid !== user || (stat.mode & 0o022) !== 0))) return undefined
    const bytes = readFileSync(cache)
    const compiled = bytes.subarray(0, -checksumBytes)
    return checksum(compiled) === bytes.readUInt32LE(compiled.length) ? compiled : undefined
  } catch {
    return undefined
  }
}

const writeCompiled = (cache: string, compiled: Buffer): void => {
  const end = Buffer.alloc(checksumBytes)
  end.writeUInt32LE(checksum(compiled))
  const temporary = `${cache}.${process.pid}`
  try {
    writeFileSync(temporary, Buffer.concat([compiled, end]), { mode: 0o600 })
    renameSync(temporary, cache)
  } catch {
    // An opt-out removed the folder, or the disk is full. The next worker compiles again.
    rmSync(temporary, { force: true })
  }
}

const run = (code: string): void => {
  const folder = compiledCodeFolder()
  const cache = folder === undefined ? undefined : `${folder}/worker-${checksum(code).toString(16)}`
  const cachedData = cache === undefined ? undefined : readCompiled(cache)
  const script = new Script(code, { filename: "effect-cli-usage/worker.cjs", cachedData })

  const main: { exports: { readonly delivered?: Promise<number> } } = { exports: {} }
  // The code requires modules of Node.js only. A single executable and an ES module have no other `require`.
  script.runInThisContext()(main, main.exports, process.getBuiltinModule)

  if (cache === undefined || script.cachedDataRejected === false) return
  // A worker that delivered nothing has compiled few functions.
  void main.exports.delivered?.then((delivered) => {
    if (delivered > 0) process.once("exit", () => writeCompiled(cache, script.createCachedData()))
  })
}

// A bundler may put this module where every command runs it. Also then the executable can be started as a worker.
setOwnWorker()
if (isMarkedAsWorker()) run(workerCode)
