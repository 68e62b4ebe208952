/**
 * Mistakes as wrong implementations of exported functions.
 */
import { files } from "./Files.ts"
import { identity } from "./Identity.ts"
import type { Replacement } from "./Wrong.ts"

export const replacements: ReadonlyArray<Replacement> = [...identity, ...files]
