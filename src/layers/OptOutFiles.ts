/** Publishes and withdraws the opt-out: consent is denied while the file `usage/opt-out` exists. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { formerOf, type IdentityCodec, isForeign } from "../domain/IdentityCodec.ts"
import { OptOutError } from "../services/Consent.ts"
import { type Errno, isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ForeignFile from "./ForeignFile.ts"
import * as HomeSafety from "./HomeSafety.ts"

/** The problem and the path of a failed operation. */
type Failure = string

const unchanged = "could not be changed"

export const make = Effect.gen(function*() {
  const path = yield* Path.Path
  const { codec, home } = yield* UsageSettings
  const former = formerOf(codec)
  const runtime = yield* HostRuntime
  const { disk, uuid } = runtime

  const failure = (code: Errno | undefined, file: string): Failure | undefined =>
    code === undefined ? undefined : `${code}, ${file}`

  const unlessAbsent = (code: Errno | undefined): Errno | undefined => isAbsent(code) ? undefined : code

  const makeFolders = (folder: string): Failure | undefined => {
    const code = disk.makeFolder(folder)
    const above = path.dirname(folder)
    if (isAbsent(code) && above !== folder) return makeFolders(above) ?? failure(disk.makeFolder(folder), folder)
    return failure(code === "EEXIST" ? undefined : code, folder)
  }

  // Removes everything that can be removed, and returns the first failure.
  const removeAll = (target: string): Failure | undefined => {
    const entry = disk.look(target)
    if (isRefused(entry)) return failure(unlessAbsent(entry), target)
    if (entry.type !== "Directory") return failure(unlessAbsent(disk.remove(target)), target)
    const names = disk.list(target)
    if (isRefused(names)) return failure(unlessAbsent(names), target)
    const failures = names.flatMap((name) => removeAll(path.join(target, name)) ?? [])
    return failures[0] ?? failure(unlessAbsent(disk.removeFolder(target)), target)
  }

  // Renames before it removes, so that other processes no longer find the folder. After a kill, the next opt-out
  // removes it.
  const removeAside = (name: string): Failure | undefined => {
    const target = path.join(home.usage, name)
    const aside = `${home.optOut}.${name}`
    return removeAll(disk.rename(target, aside) === undefined ? aside : target)
  }

  const replace = (file: string, text: string): Failure | undefined => {
    const temp = `${home.optOut}.${uuid()}`
    const code = disk.create(temp, text) ?? disk.rename(temp, file)
    if (code !== undefined) disk.remove(temp)
    return failure(code, file)
  }

  // Returns why the keys of other tools in a file cannot be read now. A path that is not a file has no keys.
  const readFailure = (
    { fileName }: IdentityCodec,
    read = ForeignFile.read(disk, home.identityFile(fileName))
  ): Failure | undefined => {
    const isReadable = read._tag !== "Unreadable" || ["EFBIG", "EFTYPE", "ENOENT"].includes(read.code)
    return isReadable ? undefined : failure(read.code, home.identityFile(fileName))
  }

  // A format without consent cannot hold a denial: its file is removed.
  const writeConsent = (format: IdentityCodec, given: boolean): Failure | undefined => {
    const { fileName, withConsent } = format
    const file = home.identityFile(fileName)
    if (withConsent === undefined) return given ? undefined : failure(unlessAbsent(disk.remove(file)), file)
    const read = ForeignFile.read(disk, file)
    const problem = readFailure(format, read)
    if (problem !== undefined) return problem
    const write = (before: string): Failure | undefined =>
      makeFolders(home.usage) ?? replace(file, withConsent(before, given, uuid))
    try {
      return write(read._tag === "Text" ? read.text : "")
    } catch {
      // The keys of other tools are nested too deep to be encoded.
      return write("")
    }
  }

  // The file of a former format also holds an identity, and may hold a denial.
  const formats = (): ReadonlyArray<IdentityCodec> => {
    const read = ForeignFile.read(disk, home.identityFile(former.fileName))
    return read._tag === "Text" && !isForeign(former, read.text) ? [codec, former] : [codec]
  }

  const isDeniedIn = ({ denies, fileName, withConsent }: IdentityCodec): boolean => {
    const read = ForeignFile.read(disk, home.identityFile(fileName))
    return read._tag === "Text" ? denies(read.text) : withConsent !== undefined && read._tag === "Unreadable"
  }

  // A process that publishes a file from now on removes it again. If a file cannot be deleted, then the others are
  // deleted anyway.
  const deleteState = (): Failure | undefined => {
    const names = disk.list(home.usage)
    const kept = isRefused(names) ? [] : names.filter((name) => path.join(home.usage, name) !== home.optOut)
    const failures = [
      ...isRefused(names) ? [failure(names, home.usage)] : [],
      ...kept.map(removeAside),
      readFailure(former),
      ...formats().map((format) => writeConsent(format, false))
    ]
    return failures.find((failure) => failure !== undefined)
  }

  // A path of any type denies.
  const publish = (): Failure | undefined => {
    const folderFailure = makeFolders(home.usage)
    if (folderFailure !== undefined) return folderFailure
    const code = disk.create(home.optOut, "")
    return failure(code === "EEXIST" ? undefined : code, home.optOut)
  }

  const fail = (what: string, failure: Failure | undefined) =>
    failure === undefined
      ? Effect.void
      : Effect.fail(new OptOutError({ path: home.optOut, problem: `${what}: ${failure}` }))

  const guarded = (effect: Effect.Effect<void, OptOutError>) =>
    Effect.suspend(() => Effect.andThen(fail(unchanged, HomeSafety.problem(home, path, runtime, 0)), effect))

  const deny = Effect.suspend(() => fail(unchanged, publish())).pipe(
    Effect.andThen(Effect.suspend(() => fail("was published, but not everything could be deleted", deleteState())))
  )

  const withdraw = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const written = replace(home.enabled, `${now} ${uuid()}`) ??
      formats().map((format) => writeConsent(format, true)).find((failure) => failure !== undefined)
    // The opt-out is removed last: until then telemetry is off.
    return fail(unchanged, written ?? failure(unlessAbsent(disk.remove(home.optOut)), home.optOut))
  })

  // Deletes the state also after a denial in an identity file: a killed process may have left files. If consent is
  // already given, then the identity is kept.
  const allow = Effect.suspend(() => {
    const optOut = disk.look(home.optOut)
    const problem = isRefused(optOut) ? failure(unlessAbsent(optOut), home.optOut) : undefined
    if (problem !== undefined) return fail(unchanged, problem)
    const isDenied = !isRefused(optOut) || formats().some(isDeniedIn)
    return isDenied ? Effect.andThen(deny, withdraw) : Effect.void
  })

  return { deny: guarded(deny), allow: guarded(allow) }
})
