/** Whether a command may record anything, and which setting decided it. */

/**
 * The setting that decided about consent.
 *
 * **Details**
 *
 * `Default`: no setting denies. `Variable`: an environment variable. `PolicyFile`: the file of the machine's
 * administrator. `OptOutFile`: `telemetry disable`, or an opt-out that cannot be read now. `Outlived`: the command
 * began before telemetry was enabled again. `TestRun`: `NODE_ENV=test` or `VITEST`. `NoKey`: the host has no usable
 * PostHog key or host name. `UnsafeHome`: the state home could be written by another user. `NotLoaded`: a file of this
 * package could not be loaded.
 *
 * @category models
 * @since 0.1.0
 */
export type DecidedBy =
  | { readonly _tag: "Default" }
  | { readonly _tag: "Variable"; readonly name: string }
  | { readonly _tag: "PolicyFile"; readonly path: string }
  | { readonly _tag: "OptOutFile" }
  | { readonly _tag: "Outlived" }
  | { readonly _tag: "TestRun" }
  | { readonly _tag: "NoKey"; readonly problem?: string | undefined }
  | { readonly _tag: "UnsafeHome"; readonly problem: string }
  | { readonly _tag: "NotLoaded" }

/**
 * The decision about consent, with the setting that made it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsentDecision {
  readonly enabled: boolean
  readonly decidedBy: DecidedBy
}

export const given: ConsentDecision = { enabled: true, decidedBy: { _tag: "Default" } }

export const denied = (decidedBy: DecidedBy): ConsentDecision => ({ enabled: false, decidedBy })

const names = {
  Default: "default",
  PolicyFile: "policy file",
  OptOutFile: "opt-out file",
  Outlived: "begun before telemetry was enabled again",
  TestRun: "test run",
  NoKey: "no key",
  UnsafeHome: "unsafe home",
  NotLoaded: "not loaded"
}

/** Returns the setting as `telemetry status --json` prints it. */
export const format = (decidedBy: DecidedBy): string =>
  decidedBy._tag === "Variable" ? decidedBy.name : names[decidedBy._tag]

/** Returns the setting as text for people: with the policy file, or the problem of the key, the host or the home. */
export const explain = (decidedBy: DecidedBy): string => {
  if (decidedBy._tag === "UnsafeHome") return `${format(decidedBy)}: ${decidedBy.problem}`
  if (decidedBy._tag === "PolicyFile") return `${format(decidedBy)}: ${decidedBy.path}`
  return (decidedBy._tag === "NoKey" ? decidedBy.problem : undefined) ?? format(decidedBy)
}

/** Returns the prefix of a CLI's variables: `MY_CLI` for `my-cli`. */
export const variablePrefix = (name: string): string => name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, "_")

const allowing = {
  usageTracking: new Set(["", "1", "true", "yes", "on"]),
  doNotTrack: new Set(["", "0", "false", "no", "off"])
}

/** A variable that can deny consent, and the values that allow. */
export interface ConsentVariable {
  readonly name: string
  readonly allowing: ReadonlySet<string>
}

/** Returns the variables that can deny consent. `optOuts` are more variables that deny as `DO_NOT_TRACK` does. */
export const variables = (prefix: string, optOuts: ReadonlyArray<string> = []): ReadonlyArray<ConsentVariable> => [
  { name: `${prefix}_USAGE_TRACKING`, allowing: allowing.usageTracking },
  ...["DO_NOT_TRACK", ...optOuts].map((name) => ({ name, allowing: allowing.doNotTrack }))
]

/** Returns whether a value allows. Case and surrounding spaces are ignored. */
export const allows = ({ allowing }: ConsentVariable, value: string): boolean =>
  allowing.has(value.trim().toLowerCase())
