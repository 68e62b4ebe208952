/** Files below the state home that are whole or absent. */
import type * as Option from "effect/Option"
import type { Path } from "effect/Path"
import type { StateHome } from "../domain/StateHome.ts"
import { type Errno, isAbsent, isRefused, type Read, unread } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import * as FolderSafety from "./FolderSafety.ts"
import type { Notes } from "./Notes.ts"

/** Why a file was not published: the user opted out before. */
export const denied: Errno = "ECONSENT"

/** What the files need. */
export interface Requirements {
  readonly home: StateHome
  readonly path: Pick<Path, "dirname" | "join">
  readonly runtime: Pick<HostRuntime["Service"], "disk" | "uid" | "uuid">
  readonly notes: Notes
  /** Whether the user has not opted out since consent was last looked at. */
  readonly stillGiven: () => boolean | undefined
}

/** Reads and publishes the module's files. */
export interface StateFiles {
  readonly home: StateHome
  readonly notes: Notes
  /** Reads a file of the given owner, unless a folder above it, up to the home, is a link or not the user's own. */
  readonly read: (file: string, owner?: number) => Read
  /** Reads a file as a document; undefined where it is missing, cannot be read now, or is not such a document. */
  readonly decode: <A>(file: string, decode: (text: string) => Option.Option<A>) => A | undefined
  /** Publishes a file that can be made only once; `EEXIST` where it was there before. */
  readonly publish: (file: string, text: string, holdsConsent?: boolean) => Errno | undefined
  /** Publishes a file in the place of an older one. */
  readonly replace: (file: string, text: string, holdsConsent?: boolean) => Errno | undefined
  /** Returns the names in a folder; none where there is no folder. */
  readonly list: (folder: string) => ReadonlyArray<string> | Errno
  /** Removes a file, if it is there. */
  readonly remove: (file: string) => Errno | undefined
  /** Moves a file into another folder. */
  readonly move: (from: string, to: string) => Errno | undefined
  /** Makes a folder for files of another program; refused where it is not the user's own, as below a link. */
  readonly makeFolder: (folder: string) => Errno | undefined
}

export const make = ({ home, notes, path, runtime, stillGiven }: Requirements): StateFiles => {
  const { disk, uid, uuid } = runtime

  // The home and this module's folder are looked at with consent.
  const safe = new Set([home.root, home.usage])

  // A folder that is a link leads what is written or read elsewhere; in one that others may write to, so can they.
  const checkFolder = (folder: string): Errno | undefined => {
    if (safe.has(folder)) return undefined
    const above = path.dirname(folder)
    if (above === folder) return "EPERM"
    const refused = checkFolder(above)
    if (refused !== undefined) return refused
    const entry = disk.look(folder)
    if (isRefused(entry)) return entry
    if (FolderSafety.problem(folder, entry, uid) !== undefined) return "EPERM"
    safe.add(folder)
  }

  const read = (file: string, owner?: number): Read => {
    const refused = checkFolder(path.dirname(file))
    return refused === undefined ? disk.read(file, { owner }) : unread(refused)
  }

  // The folders that this process made, the innermost first.
  let made: ReadonlyArray<string> = []

  const makeOne = (folder: string): Errno | undefined => {
    const code = disk.makeFolder(folder)
    if (code === undefined) made = [folder, ...made]
    return code === "EEXIST" ? undefined : code
  }

  const makeFolders = (folder: string): Errno | undefined => {
    const code = makeOne(folder)
    const above = path.dirname(folder)
    if (!isAbsent(code) || above === folder) return code
    return makeFolders(above) ?? makeOne(folder)
  }

  // A folder is made when a write finds none. An opt-out removes the folders, so consent is looked at before that.
  const inFolder = (file: string, write: () => Errno | undefined): Errno | undefined => {
    const folder = path.dirname(file)
    const code = checkFolder(folder) ?? write()
    if (!isAbsent(code)) return code
    if (!stillGiven()) return denied
    return makeFolders(folder) ?? checkFolder(folder) ?? write()
  }

  // An opt-out that comes later removes the temp file, and nothing is published.
  const withTemp = (text: string, publish: (temp: string) => Errno | undefined): Errno | undefined => {
    const temp = path.join(home.temp, uuid())
    const created = inFolder(temp, () => disk.create(temp, text))
    if (created !== undefined) return created
    const code = stillGiven() ? publish(temp) : denied
    if (code !== undefined) disk.remove(temp)
    return code
  }

  // What is published while `telemetry disable` is at work is removed again: either its clean-up comes later, or the
  // opt-out came earlier and is seen here. A look that fails removes nothing: another process may have read a claim already,
  // or sent its alias. A file that holds consent may be the denial itself by now: it stays, and a clean-up rewrites it.
  // Nor do folders stay that were made for the file.
  const guarded = (file: string, code: Errno | undefined, holdsConsent = false): Errno | undefined => {
    const isVain = code === undefined || (code !== "EEXIST" && made.length > 0)
    if (!isVain || stillGiven() !== false) return code
    if (code === undefined && !holdsConsent) disk.remove(file)
    for (const folder of made) disk.removeFolder(folder)
    made = []
    return code ?? denied
  }

  // link(2) also fails where the file system has no hard links (FAT, some network file systems), or where a security
  // policy forbids them. A full or read-only disk then refuses the file itself.
  const exclusive = (temp: string, file: string, text: string): Errno | undefined =>
    inFolder(file, () => {
      const code = disk.link(temp, file)
      return code === undefined || code === "EEXIST" || code === "ENOENT" ? code : disk.create(file, text)
    })

  return {
    home,
    notes,
    read,
    decode: (file, decode) => {
      const found = read(file)
      if (found._tag !== "Text") return undefined
      const value = decode(found.text)
      return value._tag === "Some" ? value.value : undefined
    },
    publish: (file, text, holdsConsent) =>
      guarded(
        file,
        withTemp(text, (temp) => {
          const code = exclusive(temp, file, text)
          if (code === undefined) disk.remove(temp)
          return code
        }),
        holdsConsent
      ),
    replace: (file, text, holdsConsent) =>
      guarded(file, withTemp(text, (temp) => inFolder(file, () => disk.rename(temp, file))), holdsConsent),
    list: (folder) => {
      const names = checkFolder(folder) ?? disk.list(folder)
      return isRefused(names) && isAbsent(names) ? [] : names
    },
    remove: (file) => {
      const code = disk.remove(file)
      return isAbsent(code) ? undefined : code
    },
    move: (from, to) => {
      if (!stillGiven()) return denied
      return checkFolder(path.dirname(from)) ?? inFolder(to, () => disk.rename(from, to))
    },
    makeFolder: (folder) => {
      const code = checkFolder(folder)
      return isAbsent(code) ? makeFolders(folder) ?? checkFolder(folder) : code
    }
  }
}
