/**
 * Whether the state home is this user's alone to write to.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { keepsNothing } from "../domain/Runtime.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

const groupOrOthersMayWrite = 0o022

/**
 * Looks at the home and at this module's folder in it; what is not there yet will be right. Each gives what is wrong.
 *
 * **Details**
 *
 * `notOwn` finds a problem unless both are real folders of this user: else something would be written or deleted
 * elsewhere, and under `sudo` a file in the user's home would be root's. `unsafe` finds one also where anybody else may
 * write to them, and so change that.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* UsageSettings
  const runtime = yield* RuntimeEnvironment
  const { uid } = runtime

  const isOf = (info: FileSystem.File.Info, owner: number): boolean => Option.exists(info.uid, (id) => id === owner)

  const problemOf = (folder: string, info: FileSystem.File.Info, forbidden: number): string | undefined => {
    if (info.type !== "Directory") return `${folder} is no folder, or a link`
    if (uid === undefined) return undefined
    if (!isOf(info, uid.effective)) return `${folder} is another user's`
    return (info.mode & forbidden) === 0 ? undefined : `others may write to ${folder}, which \`chmod go-w\` ends`
  }

  // Who makes a folder owns it: below a user's own, root must not. Where nothing is kept no user comes after, and a job's
  // container often runs as root in a home that is the machine's.
  const mayMake = (folder: string): Effect.Effect<boolean> =>
    Effect.matchEffect(fs.stat(folder), {
      onSuccess: (info) => Effect.succeed(uid === undefined || isOf(info, uid.effective) || isOf(info, 0)),
      onFailure: (error) => {
        const above = path.dirname(folder)
        return error.reason._tag === "NotFound" && above !== folder ? mayMake(above) : Effect.succeed(false)
      }
    })

  const look = (folder: string, forbidden: number, ifMissing: Effect.Effect<string | undefined>) =>
    Effect.matchEffect(fs.lstat(folder), {
      onSuccess: (info) => Effect.succeed(problemOf(folder, info, forbidden)),
      onFailure: (error) =>
        error.reason._tag === "NotFound" ? ifMissing : Effect.succeed(`${folder} cannot be looked at`)
    })

  const ifHomeIsMissing = Effect.gen(function*() {
    const may = keepsNothing(runtime) || (yield* mayMake(path.dirname(home.root)))
    return may ? undefined : `${home.root} would be made below another user's folder`
  })

  const both = Effect.fnUntraced(function*(forbidden: number) {
    if (!path.isAbsolute(home.root)) return `${home.root === "" ? "an empty path" : home.root} is not absolute`
    if (uid !== undefined && uid.effective !== uid.real) return "the command runs with another user's rights"
    return (yield* look(home.root, forbidden, ifHomeIsMissing)) ??
      (yield* look(home.usage, forbidden, Effect.succeed(undefined)))
  })

  return { notOwn: both(0), unsafe: both(groupOrOthersMayWrite) }
})
