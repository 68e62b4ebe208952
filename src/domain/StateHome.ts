/** The paths of the state on disk. */
import type { Path } from "effect/Path"

/** The maximum size of a file of the state, in bytes. A disk reads no larger file: an identity file has some hundred. */
export const maxFileBytes = 1024 * 1024

/**
 * The paths below the folder in which a host keeps its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateHome {
  readonly root: string
  /** Returns the path of a codec's identity file. */
  readonly identityFile: (fileName: string) => string
  /** A file that exists if the identity of another codec was imported. */
  readonly imported: string
  /** The folder of this package. */
  readonly usage: string
  readonly claims: string
  readonly successors: string
  /** The cache of the session and of resolved credentials. */
  readonly known: string
  readonly outboxes: string
  readonly optOut: string
  /** A file with a text that changes each time an opt-out is withdrawn. */
  readonly enabled: string
  /** A file that exists if the notice was shown. */
  readonly notice: string
  /** The folder of files that are not published yet. */
  readonly temp: string
  /** The folder of the compiled code of workers. */
  readonly compileCache: string
}

export const make = (path: Pick<Path, "dirname" | "join" | "sep">, home: string): StateHome => {
  // Normalized: a user's path may end with a slash or contain `..`. The paths below are not normalized again, because
  // `path.join` passes over each character, which for all of them takes 0.5 ms.
  const usage = path.join(home, "usage")
  const above = usage.slice(0, -"usage".length)
  const below = `${usage}${path.sep}`
  return {
    root: home && path.dirname(usage),
    identityFile: (fileName) => `${above}${fileName}`,
    imported: `${below}imported`,
    usage,
    claims: `${below}claims`,
    successors: `${below}successors`,
    known: `${below}known.json`,
    outboxes: `${below}outbox`,
    optOut: `${below}opt-out`,
    enabled: `${below}enabled`,
    notice: `${below}notice`,
    temp: `${below}tmp`,
    compileCache: `${below}compile-cache`
  }
}

/** The variables that `ofPlatform` reads. */
export const platformVariables = ["XDG_STATE_HOME", "LOCALAPPDATA", "USERPROFILE", "HOME"] as const

const isFolder = (folder: string | undefined, isWindows: boolean): folder is string =>
  folder !== undefined && (isWindows ? /^([a-z]:)?[\\/]/i : /^\//).test(folder)

/**
 * Returns the platform's folder for a program's state; empty if no variable names it.
 *
 * **Details**
 *
 * The folder is the same as that of `effect/persistence/UserDirectories`, which Effect has since 4.0.6. `system` is the
 * result of `os.type()`. An absolute `XDG_STATE_HOME` is used on every platform.
 */
export const ofPlatform = (
  system: string,
  variables: Readonly<Partial<Record<typeof platformVariables[number], string>>>,
  name: string
): string => {
  const { HOME, LOCALAPPDATA, USERPROFILE, XDG_STATE_HOME } = variables
  const isWindows = system === "Windows_NT"
  const separator = isWindows ? "\\" : "/"
  const pathIn = (folder: string, ...names: ReadonlyArray<string>) =>
    [folder.replace(isWindows ? /[\\/]+$/ : /\/+$/, ""), ...names, name].join(separator)
  if (isFolder(XDG_STATE_HOME, isWindows)) return pathIn(XDG_STATE_HOME)
  if (isWindows && isFolder(LOCALAPPDATA, isWindows)) return pathIn(LOCALAPPDATA)
  const user = isWindows ? USERPROFILE : HOME
  if (user === undefined) return ""
  if (isWindows) return pathIn(user, "AppData", "Local")
  return system === "Darwin" ? pathIn(user, "Library", "Application Support") : pathIn(user, ".local", "state")
}
