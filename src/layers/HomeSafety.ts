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
import * as StateHome from "../domain/StateHome.ts"
import { RuntimeEnvironment } from "../services/RuntimeEnvironment.ts"
import { UsageSettings } from "../services/UsageSettings.ts"

const groupOrOthersMayWrite = 0o022

/**
 * Looks at the home and at this module's folder in it; what is not there yet will be right.
 *
 * **Details**
 *
 * `isOwn`: both are folders of this user, and no links, so that nothing is written or deleted elsewhere; under `sudo` a
 * file in the user's home would be root's. `isSafe`: nobody else can write to them either, and so change that.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const settings = yield* UsageSettings
  const runtime = yield* RuntimeEnvironment
  const { uid } = runtime.process
  const home = StateHome.make(path, settings.home, settings.codec.fileName)

  const look = (folder: string, forbidden: number): Effect.Effect<"Missing" | "Right" | "Wrong"> =>
    Effect.match(fs.lstat(folder), {
      onSuccess: (info) =>
        info.type === "Directory" &&
          (uid === undefined || Option.exists(info.uid, (owner) => owner === uid.effective)) &&
          (uid === undefined || (info.mode & forbidden) === 0)
          ? "Right"
          : "Wrong",
      onFailure: (error) => error.reason._tag === "NotFound" ? "Missing" : "Wrong"
    })

  // Who makes a folder owns it: below a user's own, root must not. Where nothing is kept no user comes after, and a job's
  // container often runs as root in a home that is the machine's.
  const mayMake = (folder: string): Effect.Effect<boolean> =>
    Effect.matchEffect(fs.stat(folder), {
      onSuccess: (info) =>
        Effect.succeed(uid === undefined || Option.exists(info.uid, (owner) => owner === uid.effective || owner === 0)),
      onFailure: (error) => {
        const above = path.dirname(folder)
        return error.reason._tag === "NotFound" && above !== folder ? mayMake(above) : Effect.succeed(false)
      }
    })

  const both = Effect.fnUntraced(function*(forbidden: number) {
    if (!path.isAbsolute(home.root)) return false
    if (uid !== undefined && uid.effective !== uid.real) return false
    const root = yield* look(home.root, forbidden)
    if (root === "Missing") return keepsNothing(runtime) || (yield* mayMake(path.dirname(home.root)))
    return root === "Right" && (yield* look(home.usage, forbidden)) !== "Wrong"
  })

  return { isOwn: both(0), isSafe: both(groupOrOthersMayWrite) }
})
