/** The CI system, by ci-info. */
import ci from "ci-info"

/** The name of the CI system; undefined outside CI. */
export const name: string | undefined = ci.isCI ? ci.name ?? "unknown" : undefined
