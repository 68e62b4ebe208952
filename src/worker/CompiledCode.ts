/** The folder of the compiled code of a worker. */
import type * as Module from "node:module"

// Deno has no such function.
const { getCompileCacheDir }: Partial<typeof Module> = process.getBuiltinModule("node:module")

/**
 * Returns Node.js's folder for compiled code, named by version and architecture; undefined if the starter set none.
 *
 * A folder that a bundled host has set itself is not used: other users may have write access to it.
 */
export const compiledCodeFolder = (): string | undefined =>
  process.env["NODE_COMPILE_CACHE"] === undefined ? undefined : getCompileCacheDir?.()
