/** What kind of runtime a command runs in. */

export interface RuntimeFacts {
  readonly ci: string | undefined
  readonly container: boolean
  readonly stdoutIsTerminal: boolean
}

/** Whether nothing may be kept on this disk: CI, or a container without a terminal. */
export const keepsNothing = (runtime: RuntimeFacts): boolean =>
  runtime.ci !== undefined || (runtime.container && !runtime.stdoutIsTerminal)

/**
 * Whether no later command finds what this one learns: what keeps nothing, and one whose identity could not be written.
 */
export const remembersNothing = (runtime: RuntimeFacts, identity: { readonly durable: boolean }): boolean =>
  keepsNothing(runtime) || !identity.durable

/**
 * Whether the disk of this runtime will not survive, as far as can be told: what remembers nothing, and a first run
 * without a terminal, which may be the only one.
 */
export const isEphemeral = (
  runtime: RuntimeFacts,
  identity: { readonly durable: boolean; readonly firstRun: boolean }
): boolean => remembersNothing(runtime, identity) || (identity.firstRun && !runtime.stdoutIsTerminal)

/** Whether the other processes of this runtime die with the command: then a detached worker would deliver nothing. */
export const isShortLived = (
  runtime: RuntimeFacts & { readonly pid: number },
  identity: { readonly durable: boolean; readonly firstRun: boolean }
): boolean => isEphemeral(runtime, identity) || runtime.container || runtime.pid === 1
