/** Publishes and withdraws the opt-out, a file whose existence is the answer: `usage/opt-out`. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Path from "effect/Path"
import { formers as formersOf, type IdentityCodec, isForeign } from "../domain/IdentityCodec.ts"
import { OptOutError } from "../services/Consent.ts"
import { type Errno, isAbsent, isRefused } from "../services/Disk.ts"
import { HostRuntime } from "../services/HostRuntime.ts"
import { UsageSettings } from "../services/UsageSettings.ts"
import * as ForeignFile from "./ForeignFile.ts"
import * as HomeSafety from "./HomeSafety.ts"

/** What went wrong, and where. */
type Failure = string

const unchanged = "could not be changed"

export const make = Effect.gen(function*() {
  const path = yield* Path.Path
  const { codec, home } = yield* UsageSettings
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

  // Nobody finds it under another name any more. A process that is killed here leaves it to the next opt-out.
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

  // Why it is not known now what another tool keeps in a file. What is no file, or a link to nowhere, keeps nothing.
  const unread = ({ fileName }: IdentityCodec): Failure | undefined => {
    const file = home.identityFile(fileName)
    const read = ForeignFile.read(disk, file)
    const isKnown = read._tag !== "Unreadable" || ["EFBIG", "EFTYPE", "ENOENT"].includes(read.code)
    return isKnown ? undefined : failure(read.code, file)
  }

  // A format without consent has no place for a denial: its file is removed.
  const writeConsent = (format: IdentityCodec, given: boolean): Failure | undefined => {
    const { fileName, withConsent } = format
    const file = home.identityFile(fileName)
    if (withConsent === undefined) return given ? undefined : failure(unlessAbsent(disk.remove(file)), file)
    const unknown = unread(format)
    if (unknown !== undefined) return unknown
    const read = ForeignFile.read(disk, file)
    const write = (before: string): Failure | undefined =>
      makeFolders(home.usage) ?? replace(file, withConsent(before, given, uuid))
    try {
      return write(read._tag === "Text" ? read.text : "")
    } catch {
      // What other tools keep in the file is nested too deep to be encoded.
      return write("")
    }
  }

  // The file of a format that the host had before holds an identity, and perhaps a denial, too.
  const formats = (): ReadonlyArray<IdentityCodec> => [
    codec,
    ...formersOf(codec).filter((former) => {
      const read = ForeignFile.read(disk, home.identityFile(former.fileName))
      return read._tag === "Text" && !isForeign(former, read.text)
    })
  ]

  const isDeniedIn = ({ denies, fileName, withConsent }: IdentityCodec): boolean => {
    const read = ForeignFile.read(disk, home.identityFile(fileName))
    return read._tag === "Text" ? denies(read.text) : withConsent !== undefined && read._tag === "Unreadable"
  }

  // What a process publishes from here on, the process itself removes again. A file that cannot be deleted keeps no
  // other file from being deleted.
  const clean = (): Failure | undefined => {
    const names = disk.list(home.usage)
    const kept = isRefused(names) ? [] : names.filter((name) => path.join(home.usage, name) !== home.optOut)
    const failures = [
      ...isRefused(names) ? [failure(names, home.usage)] : [],
      ...kept.map(removeAside),
      ...formersOf(codec).map(unread),
      ...formats().map((format) => writeConsent(format, false))
    ]
    return failures.find((failure) => failure !== undefined)
  }

  // A path that exists denies, whatever it is.
  const publish = (): Failure | undefined => {
    const unmade = makeFolders(home.usage)
    if (unmade !== undefined) return unmade
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
    Effect.andThen(Effect.suspend(() => fail("was published, but not everything could be deleted", clean())))
  )

  const beginAnew = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const written = replace(home.enabled, `${now} ${uuid()}`) ??
      formats().map((format) => writeConsent(format, true)).find((failure) => failure !== undefined)
    // Last: until then telemetry is off, whatever the files say.
    return fail(unchanged, written ?? failure(unlessAbsent(disk.remove(home.optOut)), home.optOut))
  })

  // A denial in a file deletes the ids as an opt-out does, and a killed process may have left some. Consent that is given
  // twice keeps the identity.
  const allow = Effect.suspend(() => {
    const isDenied = !isRefused(disk.look(home.optOut)) || formats().some(isDeniedIn)
    return isDenied ? Effect.andThen(deny, beginAnew) : Effect.void
  })

  return { deny: guarded(deny), allow: guarded(allow) }
})
