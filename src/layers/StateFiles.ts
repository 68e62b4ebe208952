/** Atomic files below the state home: a file is complete or absent. */
import * as Effect from "effect/Effect"
import type { Path } from "effect/Path"
import type { StateHome } from "../domain/StateHome.ts"
import { type Errno, isAbsent, isRefused, type Read, refusedRead } from "../services/Disk.ts"
import type { HostRuntime } from "../services/HostRuntime.ts"
import { debug, isLogged } from "./Debug.ts"
import { folderProblem } from "./HomeSafety.ts"

/** The code of a file that was not published because the user has opted out. */
export const denied: Errno = "ECONSENT"

type Write = (from: string, to: string) => Errno | undefined

/** The debug lines of synchronous code. */
export interface Notes {
  readonly add: (line: string) => void
  /** Runs synchronous code, then writes its debug lines. */
  readonly run: <A>(evaluate: () => A) => Effect.Effect<A>
}

const makeNotes = (): Notes => {
  let lines: Array<string> = []
  return {
    add: (line) => void lines.push(line),
    run: (evaluate) =>
      Effect.withFiber((fiber) => {
        const result = Effect.succeed(evaluate())
        const all = lines
        lines = []
        return all.length === 0 || !isLogged(fiber)
          ? result
          : Effect.andThen(Effect.forEach(all, (line) => debug(line), { discard: true }), result)
      })
  }
}

/** The dependencies of `make`. */
export interface Requirements {
  readonly home: StateHome
  readonly path: Pick<Path, "dirname">
  readonly runtime: Pick<HostRuntime["Service"], "disk" | "uid" | "uuid">
  /** Returns whether the user has not opted out since consent was decided; undefined if that cannot be read now. */
  readonly stillGiven: () => boolean | undefined
}

/** Reads and publishes the module's files. */
export interface StateFiles {
  readonly home: StateHome
  readonly notes: Notes
  readonly stillGiven: Requirements["stillGiven"]
  /** Reads a file of an owner. It refuses a file in an unsafe folder: a link, or a folder of another user. */
  readonly read: (file: string, owner?: number) => Read
  /** Reads and decodes a file; undefined if it is missing, unreadable or invalid. */
  readonly decode: <A>(file: string, decode: (text: string) => A | undefined) => A | undefined
  /** Publishes a write-once file. Returns `EEXIST` if the file exists. */
  readonly publish: (file: string, text: string, holdsConsent?: boolean) => Errno | undefined
  /** Publishes a file, and replaces an existing file. */
  readonly replace: (file: string, text: string, holdsConsent?: boolean) => Errno | undefined
  /** Returns the names in a folder; none if the folder is missing. */
  readonly list: (folder: string) => ReadonlyArray<string> | Errno
  /** Removes a file, if it exists. */
  readonly remove: (file: string) => Errno | undefined
  /** Moves a file into another folder. */
  readonly move: (from: string, to: string) => Errno | undefined
  /** Creates a folder for files of another program. It refuses an unsafe folder, such as a folder below a link. */
  readonly makeFolder: (folder: string) => Errno | undefined
}

export const make = ({ home, path, runtime, stillGiven }: Requirements): StateFiles => {
  const { disk, uid, uuid } = runtime

  // The home and the folder of this package are checked with consent (`HomeSafety`).
  const checkedFolders = new Set([home.root, home.usage])

  // Through a link, files would be read and written elsewhere. In a folder with write access for others, other users
  // could replace files by links.
  const checkFolder = (folder: string): Errno | undefined => {
    if (checkedFolders.has(folder)) return undefined
    const above = path.dirname(folder)
    if (above === folder) return "EPERM"
    const refused = checkFolder(above)
    if (refused !== undefined) return refused
    const entry = disk.look(folder)
    if (isRefused(entry)) return entry
    if (folderProblem(folder, entry, uid) !== undefined) return "EPERM"
    checkedFolders.add(folder)
  }

  const read = (file: string, owner?: number): Read => {
    const refused = checkFolder(path.dirname(file))
    return refused === undefined ? disk.read(file, { owner }) : refusedRead(refused)
  }

  // The folders that this process created, the innermost first.
  let createdFolders: ReadonlyArray<string> = []

  const makeOne = (folder: string): Errno | undefined => {
    const code = disk.makeFolder(folder)
    if (code === undefined) createdFolders = [folder, ...createdFolders]
    return code === "EEXIST" ? undefined : code
  }

  const makeFolders = (folder: string): Errno | undefined => {
    const code = makeOne(folder)
    const above = path.dirname(folder)
    if (!isAbsent(code) || above === folder) return code
    return makeFolders(above) ?? makeOne(folder)
  }

  // Runs a write whose target is in a folder. Creates the folder if the write finds it missing. An opt-out removes the
  // folders, so consent is checked first.
  const writeInFolder = (file: string, write: Write, ...args: Parameters<Write>): Errno | undefined => {
    const folder = path.dirname(file)
    const code = checkFolder(folder) ?? write(...args)
    if (!isAbsent(code)) return code
    if (!stillGiven()) return denied
    return makeFolders(folder) ?? checkFolder(folder) ?? write(...args)
  }

  // Writes a temp file, and publishes it by `move`.
  const publishBy = (move: Write, file: string, text: string, holdsConsent = false): Errno | undefined => {
    const temp = `${home.temp}/${uuid()}`
    let code = writeInFolder(temp, disk.create, temp, text)
    if (code === undefined) {
      // A later opt-out removes the temp file, and then nothing is published.
      code = stillGiven() ? writeInFolder(file, move, temp, file) : denied
      if (code !== undefined) disk.remove(temp)
    }
    // Removes a file that was published during an opt-out, and the folders created for it. If consent cannot be read,
    // then nothing is removed: a claim may be in use. A file that holds consent may be the denial by now, so it is kept.
    const mustUndo = code === undefined || (code !== "EEXIST" && createdFolders.length > 0)
    if (!mustUndo || stillGiven() !== false) return code
    // After an opt-out and its withdrawal, the file may be that of a newer command.
    const isOwn = (read: Read): boolean => read._tag === "Text" ? read.text === text : read._tag === "Unreadable"
    if (code === undefined && !holdsConsent && isOwn(disk.read(file))) disk.remove(file)
    for (const folder of createdFolders) disk.removeFolder(folder)
    createdFolders = []
    return code ?? denied
  }

  return {
    home,
    notes: makeNotes(),
    stillGiven,
    read,
    decode: (file, decode) => {
      const found = read(file)
      return found._tag === "Text" ? decode(found.text) : undefined
    },
    // link(2) also fails on file systems without hard links (FAT, some network file systems), or by a security policy.
    // Then the file is created directly, which a full or read-only disk refuses.
    publish: (file, text, holdsConsent) =>
      publishBy(
        (temp) => {
          const refused = disk.link(temp, file)
          const mustCreate = refused !== undefined && refused !== "EEXIST" && refused !== "ENOENT"
          const code = mustCreate ? disk.create(file, text) : refused
          if (code === undefined) disk.remove(temp)
          return code
        },
        file,
        text,
        holdsConsent
      ),
    replace: (file, text, holdsConsent) => publishBy(disk.rename, file, text, holdsConsent),
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
      return checkFolder(path.dirname(from)) ?? writeInFolder(to, disk.rename, from, to)
    },
    makeFolder: (folder) => {
      const code = checkFolder(folder)
      if (!isAbsent(code)) return code
      return stillGiven() ? makeFolders(folder) ?? checkFolder(folder) : denied
    }
  }
}
