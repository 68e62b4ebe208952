/**
 * The published worker: one file that holds the worker's code as a text, and runs it from what V8 compiled for an earlier
 * worker.
 *
 * Node.js's own compile cache holds what V8 compiles when a file is loaded. Most functions of a worker are compiled when
 * they are first called; V8 is asked for all of them here, when a worker that delivered something ends (ADR 0013). And a
 * host that is bundled into one file has the worker in it: V8 passes over a text faster than over code (ADR 0010).
 */
import { areSet, setOwnWorker } from "../layers/WorkerMarks.ts"
import { compiledCodeFolder } from "./CompiledCode.ts"

/** `main.ts`, bundled as a function of its module, its exports and its `require`. */
declare const workerCode: string

const { lstatSync, readFileSync, renameSync, rmSync, writeFileSync } = process.getBuiltinModule("node:fs")
const { Script } = process.getBuiltinModule("node:vm")

const checksumBytes = 4

const checksum = (bytes: string | Buffer): number => process.getBuiltinModule("node:zlib").crc32(bytes)

// V8 looks at the length of the source only, and believes whatever it reads.
const readCompiled = (cache: string): Buffer | undefined => {
  try {
    const found = lstatSync(cache)
    const user = process.geteuid?.()
    // A FIFO would be waited for, outside of the worker's timer. What others may have written is not run.
    if (!found.isFile() || (user !== undefined && (found.uid !== user || (found.mode & 0o022) !== 0))) return undefined
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
    // An opt-out took the folder away, or the disk is full. The next worker compiles again.
    rmSync(temporary, { force: true })
  }
}

const run = (code: string): void => {
  const folder = compiledCodeFolder()
  const cache = folder === undefined ? undefined : `${folder}/worker-${checksum(code).toString(16)}`
  const cachedData = cache === undefined ? undefined : readCompiled(cache)
  const script = new Script(code, { filename: "effect-cli-usage/worker.cjs", cachedData })

  const main: { exports: { readonly delivered?: Promise<number> } } = { exports: {} }
  // It needs modules of Node.js only. A single executable has no other `require`, and an ES module has none.
  script.runInThisContext()(main, main.exports, process.getBuiltinModule)

  if (cache === undefined || script.cachedDataRejected === false) return
  // One that found nothing to do has compiled little.
  void main.exports.delivered?.then((delivered) => {
    if (delivered > 0) process.once("exit", () => writeCompiled(cache, script.createCachedData()))
  })
}

// A bundler may put this where every command runs it: then, too, what the process was started with can be started as a
// worker.
setOwnWorker()
if (areSet()) run(workerCode)
