/**
 * Mistakes that an author of this package could make, each of which a test must notice.
 */
import { type Edit, edits } from "./Edits.ts"
import { replacements } from "./Replacements.ts"
import type { Replacement } from "./Wrong.ts"

export type Mutation = Edit | Replacement

export const mutations: ReadonlyArray<Mutation> = [...replacements, ...edits]
