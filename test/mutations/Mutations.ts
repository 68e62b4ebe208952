/**
 * Mistakes that an author of this package could make, each of which a test must notice.
 */
import { files } from "./Files.ts"
import { identity } from "./Identity.ts"
import type { Mutation } from "./Wrong.ts"

export const mutations: ReadonlyArray<Mutation> = [...identity, ...files]
