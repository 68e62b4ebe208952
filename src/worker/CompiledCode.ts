/** Where a worker's compiled code is kept. */
import type * as Module from "node:module"

// Deno has none of its own.
const { getCompileCacheDir }: Partial<typeof Module> = process.getBuiltinModule("node:module")

/**
 * Returns the folder that Node.js keeps compiled code in, which it names after its version and the kind of machine;
 * undefined where the starter named none.
 *
 * A bundled host may have turned the cache on by itself, in a folder that other users can write to.
 */
export const compiledCodeFolder = (): string | undefined =>
  process.env["NODE_COMPILE_CACHE"] === undefined ? undefined : getCompileCacheDir?.()
