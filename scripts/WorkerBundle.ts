/**
 * The worker as it is published: one file, which nothing need be beside.
 */
import { build, type BuildOptions, type Metafile } from "esbuild"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.resolve(import.meta.dirname, "..")

/** The files that are in a bundle. */
export const inBundle = ({ outputs }: Metafile): ReadonlyArray<string> =>
  Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file)
  )

/** Writes the worker to `outfile`, and answers with the files that are in it. */
export const bundleWorker = async (outfile: string, minify: boolean): Promise<ReadonlyArray<string>> => {
  const options = {
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: "node22",
    format: "cjs",
    // One byte for each character, in V8 too.
    charset: "ascii",
    minify,
    legalComments: "none",
    logLevel: "error"
  } satisfies BuildOptions
  const { metafile, outputFiles: [code] } = await build({
    ...options,
    entryPoints: ["src/worker/main.ts"],
    metafile: true,
    write: false
  })
  if (code === undefined) throw new Error("esbuild made nothing of src/worker/main.ts")
  const workerCode = `(function (module, exports, require) {${code.text}\n})`
  Fs.mkdirSync(Path.dirname(outfile), { recursive: true })
  await build({
    ...options,
    entryPoints: ["src/worker/start.ts"],
    outfile,
    define: { workerCode: JSON.stringify(workerCode) }
  })
  return inBundle(metafile)
}
