/**
 * The paths of everything that is kept on disk.
 *
 * @since 0.1.0
 */
import type { Path } from "effect/Path"

/**
 * The paths below the folder in which a host keeps its state.
 *
 * @category models
 * @since 0.1.0
 */
export interface StateHome {
  readonly root: string
  /** The identity file of a codec, by its file name. */
  readonly identityFile: (fileName: string) => string
  /** Its existence says that another codec's identity was taken over. */
  readonly imported: string
  /** This module's own folder. */
  readonly usage: string
  readonly claims: string
  readonly successors: string
  /** The cache of the session and of resolved credentials. */
  readonly known: string
  readonly outboxes: string
  readonly optOut: string
  /** Which consent this is: another text after each opt-out that was withdrawn. */
  readonly enabled: string
  readonly notice: string
  /** Where files are written before they are published. */
  readonly temp: string
  /** Where the compiled code of workers is kept. */
  readonly compileCache: string
}

export const make = (path: Pick<Path, "dirname" | "join">, home: string): StateHome => {
  const usage = path.join(home, "usage")
  // As every path below it is written: a shell's completion ends it with a slash, a script puts `..` into it.
  const root = home && path.dirname(usage)
  return {
    root,
    identityFile: (fileName) => path.join(root, fileName),
    imported: path.join(usage, "imported"),
    usage,
    claims: path.join(usage, "claims"),
    successors: path.join(usage, "successors"),
    known: path.join(usage, "known.json"),
    outboxes: path.join(usage, "outbox"),
    optOut: path.join(usage, "opt-out"),
    enabled: path.join(usage, "enabled"),
    notice: path.join(usage, "notice"),
    temp: path.join(usage, "tmp"),
    compileCache: path.join(usage, "compile-cache")
  }
}

/** The variables that `ofPlatform` reads. */
export const platformVariables = ["XDG_STATE_HOME", "LOCALAPPDATA", "USERPROFILE", "HOME"] as const

const isFolder = (folder: string | undefined, isWindows: boolean): folder is string =>
  folder !== undefined && (isWindows ? /^([a-z]:)?[\\/]/i : /^\//).test(folder)

/**
 * Returns the folder in which a platform keeps a program's state; empty where the environment names none.
 *
 * **Details**
 *
 * The folder is that of `effect/persistence/UserDirectories`, which Effect has since 4.0.6. `system` is the answer of
 * `os.type()`. An absolute `XDG_STATE_HOME` is used on every platform.
 */
export const ofPlatform = (
  system: string,
  variables: Readonly<Partial<Record<typeof platformVariables[number], string>>>,
  name: string
): string => {
  const { HOME, LOCALAPPDATA, USERPROFILE, XDG_STATE_HOME } = variables
  const isWindows = system === "Windows_NT"
  const separator = isWindows ? "\\" : "/"
  const below = (folder: string, ...names: ReadonlyArray<string>) =>
    [folder.replace(isWindows ? /[\\/]+$/ : /\/+$/, ""), ...names, name].join(separator)
  if (isFolder(XDG_STATE_HOME, isWindows)) return below(XDG_STATE_HOME)
  if (isWindows && isFolder(LOCALAPPDATA, isWindows)) return below(LOCALAPPDATA)
  const user = isWindows ? USERPROFILE : HOME
  if (user === undefined) return ""
  if (isWindows) return below(user, "AppData", "Local")
  return system === "Darwin" ? below(user, "Library", "Application Support") : below(user, ".local", "state")
}
