/** The kinds of runtimes, by how long their disk and their processes exist. */

export interface RuntimeFacts {
  readonly ci: string | undefined
  readonly container: boolean
  readonly stdoutIsTerminal: boolean
}

/** Returns whether nothing is written to this disk: in CI, or in a container without a terminal. */
export const isStateless = (runtime: RuntimeFacts): boolean =>
  runtime.ci !== undefined || (runtime.container && !runtime.stdoutIsTerminal)

/**
 * Returns whether the disk of this runtime may be discarded: in a stateless runtime, if the identity could not be
 * written, or in a first run without a terminal, which may be the only run.
 */
export const isEphemeral = (
  runtime: RuntimeFacts,
  identity: { readonly durable: boolean; readonly firstRun: boolean }
): boolean => isStateless(runtime) || !identity.durable || (identity.firstRun && !runtime.stdoutIsTerminal)

/** Returns whether the runtime may end with the command: then a detached worker would deliver nothing. */
export const isShortLived = (
  runtime: RuntimeFacts & { readonly pid: number },
  identity: { readonly durable: boolean; readonly firstRun: boolean }
): boolean => isEphemeral(runtime, identity) || runtime.container || runtime.pid === 1
